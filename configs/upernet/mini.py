# UPerNet in minutes, for any ViT and any data in ADE layout. NOT the paper's recipe: small images, 48-channel heads,
# a few hundred iterations; scores compare with other rows of this recipe only. Heads start from nothing and have few
# updates, a trained encoder must not forget: its rate is a sixth of theirs and falls with depth (docs/correctness.md).

_base_ = '../_base_/ade20k.py'

max_iters = 420
short_side = 192  # small pictures are enlarged, so that objects span several patches
crop_size = (short_side, short_side)
channels = 48  # of both heads; the paper's have 768 and 256

benchmark = dict(
    # lengths that shrink and grow together; a shortened run is validated at its end only
    schedule=[
        'train_cfg.max_iters',
        'default_hooks.checkpoint.interval',
        'param_scheduler.LinearLR.end',
        'param_scheduler.CosineAnnealingLR.begin',
        'param_scheduler.CosineAnnealingLR.end',
    ],
    fit={
        'model.data_preprocessor.mean': 'mean255',
        'model.data_preprocessor.std': 'std255',
        'model.neck.embed_dims': 'embed_dims',
        'model.decode_head.in_channels': 'embed_dims',
        'model.decode_head.num_classes': 'num_classes',
        'model.auxiliary_head.in_channels': 'embed_dims',
        'model.auxiliary_head.num_classes': 'num_classes',
        'val_dataloader.dataset.pipeline.CheckMask.num_classes': 'num_classes',
    },
)

# mmseg starts classifiers at a deviation of 0.01, from where a few hundred updates hardly leave "all background".
classifier_init = dict(type='Normal', std=0.1, override=dict(name='conv_seg'))
norm_cfg = dict(type='SyncBN', requires_grad=True)  # over all processes; one process makes it a plain batch norm
model = dict(
    type='cae_bench.Segmentor',
    data_preprocessor=dict(
        type='mmseg.SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=crop_size,
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(type='cae_bench.ViT', out_indices=(0.25, 0.5, 0.75, 1.0), final_norm=False),
    neck=dict(type='cae_bench.ViTPyramid', embed_dims=192, norm_cfg=norm_cfg),
    decode_head=dict(
        type='mmseg.UPerHead',
        in_channels=[192] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=channels,
        dropout_ratio=0.0,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        init_cfg=classifier_init,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='mmseg.FCNHead',
        in_channels=192,
        in_index=2,
        channels=channels,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        init_cfg=classifier_init,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

train_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='cae_bench.CheckMask', load=dict(type='mmseg.LoadAnnotations'), num_classes=2),
    dict(
        type='RandomResize',
        resize_type='mmseg.Resize',
        scale=(4 * short_side, short_side),
        ratio_range=(0.8, 1.5),
        keep_ratio=True,
    ),
    dict(type='mmseg.RandomCrop', crop_size=crop_size, cat_max_ratio=0.9),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PackSegInputs'),
]
val_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmseg.Resize', scale=(4 * short_side, short_side), keep_ratio=True),
    # after the resize: predictions are scored on the masks as they are
    dict(type='cae_bench.CheckMask', load=dict(type='mmseg.LoadAnnotations'), num_classes=2),
    dict(type='mmseg.PackSegInputs'),
]
# for mmseg's own tools, which look for these transforms by their bare names
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='Resize', scale=(4 * short_side, short_side), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=8, num_workers=1, pin_memory=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, persistent_workers=False, pin_memory=False, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(num_workers=1, persistent_workers=False, pin_memory=False, dataset=dict(pipeline=test_pipeline))

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='cae_bench.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay_rate=0.65, head_lr_mult=6.0, no_decay=('backbone.pos_embed', 'backbone.cls_token')),
    clip_grad=dict(max_norm=5.0),
)
warmup = max_iters // 9
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=warmup),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-2, by_epoch=False, begin=warmup, end=max_iters),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters // 3)

default_hooks = dict(checkpoint=dict(interval=max_iters))
env_cfg = dict(cudnn_benchmark=False)
