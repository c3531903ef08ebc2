# Linear probing on class token and mean patch token side by side, in minutes: see configs/linear/mini.py.
# Not comparable with published scores.
_base_ = '../_base_/frozen_mini.py'

benchmark = dict(version=3)
model = dict(
    probes=dict(
        linear_cls_mean=dict(
            type='cae_bench.LinearProbe',
            feature='cls_mean',
            view='crop',
            bn_eps=1e-6,
            init_std=0.01,
            grid=dict(lr=[6.0, 24.0, 96.0], weight_decay=[0.0]),
            batch_size=32,
            bn_group=32,
            optimizer=dict(type='cae_bench.LARS', momentum=0.9, trust_coefficient=0.001),
            schedule=dict(type='fractional_epoch', warmup_epochs=0.5, min_lr=0.0),
            select='last',
            source='pooling: facebookresearch/dinov2 eval/linear.py (class token with average pool);'
            ' the rest: facebookresearch/mae main_linprobe.py',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(crop={{_base_.crop_view}})))
