# Linear probing on features computed once: one forward an image, then twenty epochs of seconds. See vit-base.py here.
_base_ = '../_base_/frozen_mini.py'

benchmark = dict(version=3)
model = dict(
    probes=dict(
        linear_cached=dict(
            type='cae_bench.LinearProbe',
            feature='cls',
            view='eval',
            cached=True,
            bn_eps=1e-6,
            init_std=0.01,
            grid=dict(lr=[6.0, 24.0, 96.0], weight_decay=[0.0]),
            batch_size=32,
            bn_group=32,
            optimizer=dict(type='cae_bench.LARS', momentum=0.9, trust_coefficient=0.001),
            schedule=dict(type='fractional_epoch', warmup_epochs=0.5, min_lr=0.0),
            select='last',
            source='head and optimizer: Atten4Vis/CAE tools/run_linear.py; the rest: this recipe',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(eval={{_base_.eval_view}}), once=['eval']))
