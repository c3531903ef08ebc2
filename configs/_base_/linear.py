# Linear probing on pooled tokens: BatchNorm, linear layer; LARS, 90 epochs, batch 16,384. Constants and source are those
# of CAE's and MAE's published protocol, configs/linear; the protocols beside it say which tokens or views they read.
_base_ = './frozen.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        linear=dict(
            type='cae_bench.LinearProbe',
            feature='cls',
            view='clamped',
            bn_eps=1e-6,
            init_std=0.01,
            grid=dict(lr=[6.4], weight_decay=[0.0]),  # 0.1 x 16,384 / 256
            batch_size=16384,
            bn_group=512,  # 32 devices x 512; statistics of each device's own images
            optimizer=dict(type='cae_bench.LARS', momentum=0.9, trust_coefficient=0.001),
            schedule=dict(type='fractional_epoch', warmup_epochs=10, min_lr=0.0),
            select='best',  # the official code prints the running maximum over epochs
            source='Atten4Vis/CAE tools/run_linear.py; facebookresearch/mae main_linprobe.py',
        )
    )
)
train_dataloader = dict(
    dataset=dict(
        views=dict(clamped=dict(type='cae_bench.ClampedCropView', size=224, scale=(0.08, 1.0), interpolation='bicubic'))
    )
)
