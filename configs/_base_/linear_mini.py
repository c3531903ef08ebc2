# linear.py in minutes, for any ViT and any image folder: the paper's head and optimizer at a batch that fits small data.
# Not comparable with published linear probing: small input, few epochs, a milder crop shared with other heads.
_base_ = './frozen_mini.py'

benchmark = dict(version=3)
model = dict(
    probes=dict(
        linear=dict(
            type='cae_bench.LinearProbe',
            feature='cls',
            view='crop',
            bn_eps=1e-6,
            init_std=0.01,
            grid=dict(lr=[6.0, 24.0, 96.0], weight_decay=[0.0]),
            batch_size=32,
            bn_group=32,
            optimizer=dict(type='cae_bench.LARS', momentum=0.9, trust_coefficient=0.001),
            schedule=dict(type='fractional_epoch', warmup_epochs=0.5, min_lr=0.0),
            select='last',
            source='head and LARS: CAE run_linear.py; batch, lr and schedule: this recipe',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(crop={{_base_.crop_view}})))
