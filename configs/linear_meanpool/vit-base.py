# ImageNet-1K linear probing on the mean of the patch tokens after the final LayerNorm:
# head, optimizer, schedule and crop of the published linear probing.
_base_ = '../_base_/frozen.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        linear_meanpool=dict(
            type='cae_bench.LinearProbe',
            feature='mean',
            view='clamped',
            bn_eps=1e-6,
            init_std=0.01,
            grid=dict(lr=[6.4], weight_decay=[0.0]),
            batch_size=16384,
            bn_group=512,
            optimizer=dict(type='cae_bench.LARS', momentum=0.9, trust_coefficient=0.001),
            schedule=dict(type='fractional_epoch', warmup_epochs=10, min_lr=0.0),
            select='best',
            source='pooling: facebookresearch/mae main_linprobe.py --global_pool, here after the final LayerNorm;'
            ' the rest: its linear probing',
        )
    )
)
train_dataloader = dict(
    dataset=dict(
        views=dict(clamped=dict(type='cae_bench.ClampedCropView', size=224, scale=(0.08, 1.0), interpolation='bicubic'))
    )
)
