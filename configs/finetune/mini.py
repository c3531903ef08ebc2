# Fine-tuning in minutes, for any ViT and any image folder. NOT the paper's recipe: small images, few iterations,
# no mixing, RandAugment or erasing; scores compare with other rows of this recipe only.
# The rate falls with depth as in the published recipes: at 1e-3 throughout, a trained ViT-S/14 lost what it knew and ended
# below random weights (docs/correctness.md).
# A ViT-tiny on 2 CPU cores takes about 4 minutes, whatever the size of the data.
_base_ = '../_base_/image_folder.py'

max_iters = 1400  # of 24 images: small batches learn most from a given number of images
size = 64  # 4 x 4 tokens of a patch-16 ViT: 6 ms an image, forward and backward, on 2 cores
imagenet = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

benchmark = dict(
    schedule=[
        'train_cfg.max_iters',
        'train_cfg.val_interval',
        'default_hooks.checkpoint.interval',
        'param_scheduler.warmup_iters',
    ],
)

model = dict(
    type='cae_bench.Classifier',
    num_classes=10,
    pool='mean',
    fc_norm_init='encoder',  # as CAE's script does with every checkpoint
    backbone=dict(type='cae_bench.ViT', arch='tiny', img_size=size),
)

train_dataloader = dict(
    batch_size=24,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(transform=dict(type='cae_bench.TimmTrain', size=size, scale=(0.7, 1.0), **imagenet)),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=False,
    dataset=dict(
        transform=[
            dict(type='cae_bench.CenterView', size=size, resize=size),
            dict(type='cae_bench.NormalizeImage', **imagenet),
        ]
    ),
)

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='cae_bench.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay_rate=0.65, no_decay=('backbone.pos_embed', 'backbone.cls_token')),
    clip_grad=dict(max_norm=3.0),
)
param_scheduler = dict(type='cae_bench.WarmupCosineLR', warmup_iters=max_iters // 10, by_epoch=False)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='cae_bench.RunCheckpoint', by_epoch=False, interval=max_iters),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
log_processor = dict(by_epoch=False)
