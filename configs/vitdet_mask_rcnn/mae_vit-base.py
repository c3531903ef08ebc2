# COCO, ViTDet with Mask R-CNN, 184,375 iterations of 64 images (100 epochs), 64 GPUs x 1. MAE-B: 51.6 box AP, 45.9 mask
# AP (detectron2 projects/ViTDet/README.md).
# Not CAE's recipe (mask_rcnn, 12 epochs, 50.3): another backbone, pyramid, head, loss, augmentation and eight times the
# training. A column of its own.
# Source: detectron2 projects/ViTDet/configs/COCO/mask_rcnn_vitdet_b_100ep.py, configs/common/models/mask_rcnn_vitdet.py
# and mask_rcnn_fpn.py, configs/common/optim.py, ViTDet (arXiv 2203.16527).
# Precision: published in fp16 (torch autocast). `--amp fp16` is that, on CUDA; without it fp32.
_base_ = '../_base_/rcnn.py'

side = 1024
benchmark = dict(
    published_amp='fp16',
    global_batch=64,
    devices=64,
    schedule=[
        'train_cfg.max_iters',
        'train_cfg.val_interval',
        'default_hooks.checkpoint.interval',
        'param_scheduler.milestones.0',
        'param_scheduler.milestones.1',
        'param_scheduler.warmup_iters',
    ],
    fit={'model.neck.embed_dims': 'embed_dims'},
)

norm_cfg = dict(type='cae_bench.LN2d', eps=1e-6)
model = dict(
    data_preprocessor=dict(pad_size_divisor=side),  # every image fits: all are padded to 1024 x 1024
    backbone=dict(
        type='cae_bench.WindowedViT',
        arch='base',
        qkv_bias='full',
        pos_embed='sincos_col',
        layer_scale=False,
        drop_path_rate=0.1,
        final_norm=False,
        rel_pos_bias='none',
        window_size=14,
        global_blocks=(2, 5, 8, 11),
        table_size=side,
        out_indices=-1,
        # the table of 14 x 14 is trained, and resized to the input's 64 x 64 in every step
        train_pos_embed=True,
        runtime_pos_resize='size',
        with_cp=False,
    ),  # --cfg-options model.backbone.with_cp=True on small GPUs
    neck=dict(type='cae_bench.SimpleFeaturePyramid', embed_dims=768, out_channels=256),
    rpn_head=dict(num_convs=2),
    roi_head=dict(bbox_head=dict(norm_cfg=norm_cfg), mask_head=dict(norm_cfg=norm_cfg)),
    train_cfg=dict(rcnn=dict(assigner=dict(match_low_quality=False))),
)

# detectron2 resizes with PIL's bilinear filter in training and test, which averages over what it shrinks (ResizeScale and
# ResizeShortestEdge, data/transforms/augmentation_impl.py L203-218; transform.py L117-123). OpenCV's takes four pixels:
# below a scale of 0.6, 28 % of the draws, it aliases.
# Large-scale jitter: flip, any scale from 0.1 to 2, a piece of at most 1024 x 1024, boxes from the masks that are left.
train_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(
        type='RandomResize',
        resize_type='mmdet.Resize',
        scale=(side, side),
        ratio_range=(0.1, 2.0),
        keep_ratio=True,
        backend='pillow',
    ),
    dict(
        type='mmdet.RandomCrop',
        crop_type='absolute',
        crop_size=(side, side),
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type='mmdet.FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type='mmdet.PackDetInputs'),
]
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
val_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.Resize', scale=(side, side), keep_ratio=True, backend='pillow'),
    dict(type='mmdet.PackDetInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='Resize', scale=(side, side), keep_ratio=True, backend='pillow'),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]
train_dataloader = dict(
    batch_size=1,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    batch_sampler=None,
    dataset=dict(filter_cfg=dict(_delete_=True, filter_empty_gt=True), pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='cae_bench.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
    # detectron2 spares PyTorch's norms and the positions: biases are decayed, and so are the LN of heads and pyramid
    paramwise_cfg=dict(layer_decay_rate=0.7, decay_biases=True, no_decay=('backbone.pos_embed',)),
)
param_scheduler = dict(
    type='cae_bench.WarmupStepLR',
    milestones=[163889, 177546],
    gamma=0.1,
    warmup_iters=250,
    warmup_ratio=0.001,
    by_epoch=False,
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=184375, val_interval=184375)
auto_scale_lr = dict(enable=False, base_batch_size=64)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='cae_bench.RunCheckpoint', by_epoch=False, interval=5000),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
log_processor = dict(by_epoch=False)
