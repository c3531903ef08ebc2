# Linear probing on the mean of the patch tokens after the final LayerNorm, in minutes: see
# configs/linear/mini.py. Not comparable with published scores.
_base_ = '../_base_/linear_mini.py'

model = dict(
    probes=dict(
        _delete_=True,
        linear_meanpool=dict(
            _base_.model.probes.linear,
            feature='mean',
            source='pooling: facebookresearch/mae main_linprobe.py --global_pool, here after the final LayerNorm;'
            ' the rest: its linear probing',
        ),
    )
)
