# ImageNet-1K linear probing without random crops: features are computed once and kept; epochs cost seconds.
# Head, optimizer and schedule are those of configs/linear; the training view is the evaluation view. Not the published
# protocol: without augmentation scores differ. A cache of ViT-B features of ImageNet takes 3.9 GB in ~/.cache/cae_bench
# (CAE_BENCH_CACHE says another folder). Pooled features only: all tokens would be 388 GB.
_base_ = '../_base_/frozen.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        linear_cached=dict(
            type='cae_bench.LinearProbe',
            feature='cls',
            view='eval',
            cached=True,
            bn_eps=1e-6,
            init_std=0.01,
            grid=dict(lr=[6.4], weight_decay=[0.0]),
            batch_size=16384,
            bn_group=512,
            optimizer=dict(type='cae_bench.LARS', momentum=0.9, trust_coefficient=0.001),
            schedule=dict(type='fractional_epoch', warmup_epochs=10, min_lr=0.0),
            select='best',
            source='head and optimizer: Atten4Vis/CAE tools/run_linear.py; features without augmentation: this project',
        )
    )
)
train_dataloader = dict(dataset=dict(views=dict(eval={{_base_.eval_view}}), once=['eval']))
