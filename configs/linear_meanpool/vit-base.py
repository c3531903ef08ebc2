# ImageNet-1K linear probing on the mean of the patch tokens after the final LayerNorm:
# head, optimizer, schedule and crop of the published linear probing.
_base_ = '../_base_/linear.py'

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
