# ImageNet-1K, a linear layer on every block of BEiT: [class token; mean patch token] of raw outputs; AdamW, 100 epochs,
# batch 1,024. The best layer is reported, as BEiT's code does. Its loader keeps the last, smaller batch of an epoch;
# here it is dropped.
_base_ = '../_base_/frozen.py'

benchmark = dict(version=2)
model = dict(
    probes=dict(
        linear_multilayer=dict(
            type='cae_bench.LayerProbe',
            feature='layers',
            view='bilinear',
            init_std=0.01,
            grid=dict(layer='all', lr=[4e-3], weight_decay=[1e-4]),  # 1e-3 x 1,024 / 256
            batch_size=1024,
            bn_group=128,
            optimizer=dict(type='cae_bench.StackedAdamW', betas=(0.9, 0.999), eps=1e-8),
            schedule=dict(type='cosine_per_epoch', warmup_epochs=0, min_lr=0.0),
            select='best',
            source='microsoft/unilm beit/run_linear_eval.py',
        )
    )
)
train_dataloader = dict(
    dataset=dict(
        views=dict(
            bilinear=dict(type='cae_bench.RandomCropView', size=224, scale=(0.08, 1.0), interpolation='bilinear')
        )
    )
)
train_cfg = dict(max_epochs=100)
