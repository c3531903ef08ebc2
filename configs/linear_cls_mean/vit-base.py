# ImageNet-1K linear probing on class token and mean patch token side by side:
# head, optimizer, schedule and crop of the published linear probing.
_base_ = '../_base_/linear.py'

model = dict(
    probes=dict(
        _delete_=True,
        linear_cls_mean=dict(
            _base_.model.probes.linear,
            feature='cls_mean',
            source='pooling: facebookresearch/dinov2 eval/linear.py (class token with average pool);'
            ' the rest: facebookresearch/mae main_linprobe.py',
        ),
    )
)
