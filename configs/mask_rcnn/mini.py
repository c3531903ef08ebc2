# Mask R-CNN in minutes, for any ViT and any data in COCO layout. NOT the paper's recipe: small images, 48-channel
# heads, few proposals, a few hundred iterations; scores compare with other rows of this recipe only. Heads start from
# nothing and have few updates, a trained encoder must not forget: its rate is half of theirs and falls with depth.

_base_ = '../_base_/rcnn.py'

max_iters = 600
short_side = 192  # small pictures are enlarged, so that objects span several patches
channels = 48  # of pyramid and heads; the paper's have 256

benchmark = dict(
    typical_size=(short_side, short_side),
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
        'model.neck.ViTPyramid.embed_dims': 'embed_dims',
        'model.neck.FPN.in_channels': 'embed_dims',
    },
)

norm_cfg = dict(type='SyncBN', requires_grad=True)  # over all processes; one process makes it a plain batch norm
model = dict(
    backbone=dict(type='cae_bench.ViT', out_indices=(0.25, 0.5, 0.75, 1.0), final_norm=False),
    neck=[
        dict(type='cae_bench.ViTPyramid', embed_dims=192, norm_cfg=norm_cfg),
        dict(type='mmdet.FPN', in_channels=[192] * 4, out_channels=channels, num_outs=5, norm_cfg=norm_cfg),
    ],
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels, roi_layer=dict(sampling_ratio=2)),
        bbox_head=dict(
            _delete_=True,
            type='mmdet.Shared2FCBBoxHead',
            in_channels=channels,
            fc_out_channels=256,
            roi_feat_size=7,
            num_classes=80,
            bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]),
            reg_class_agnostic=False,
            loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='mmdet.L1Loss', loss_weight=1.0),
        ),
        mask_roi_extractor=dict(out_channels=channels, roi_layer=dict(sampling_ratio=2)),
        mask_head=dict(num_convs=2, in_channels=channels, conv_out_channels=channels),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)),
)

train_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='RandomResize',
        resize_type='mmdet.Resize',
        scale=(4 * short_side, short_side),
        ratio_range=(0.8, 1.25),
        keep_ratio=True,
    ),
    dict(type='mmdet.RandomCrop', crop_type='absolute', crop_size=(short_side, short_side), allow_negative_crop=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.PackDetInputs'),
]
val_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.Resize', scale=(4 * short_side, short_side), keep_ratio=True),
    dict(type='mmdet.PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
# for mmdet's own tools, which look for these transforms by their bare names
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='Resize', scale=(4 * short_side, short_side), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    # in so short a schedule updates count for more than images
    batch_size=4,
    num_workers=1,
    pin_memory=False,
    batch_sampler=None,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=4, num_workers=1, pin_memory=False, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(pipeline=test_pipeline))

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='cae_bench.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.98), weight_decay=0.05),
    paramwise_cfg=dict(layer_decay_rate=0.65, head_lr_mult=2.0, no_decay=('backbone.pos_embed', 'backbone.cls_token')),
    clip_grad=dict(max_norm=5.0),
)
warmup = max_iters // 9
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=warmup),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-2, by_epoch=False, begin=warmup, end=max_iters),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters // 3)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='cae_bench.RunCheckpoint', by_epoch=False, interval=max_iters),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
log_processor = dict(by_epoch=False)
