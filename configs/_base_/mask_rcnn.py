# Mask R-CNN on a plain ViT with global attention, COCO 1x: what the recipes beside have in common.
# Source: CAE downstream_tasks/detection/evaluation/object_detection/configs, _base_ and
# mask_rcnn/*giou_4conv1f_coco_maskrcnn_1x*.py, which run
# mmdetection 2.11 (Swin-Transformer-Object-Detection) and descend from iBOT's, with another head and schedule.
# Precision: published under apex O1 (fp16 where it is safe). `--amp fp16` is that, on CUDA; without it fp32.
# Batch norms are synchronised over GPUs; a run of one process has nothing to synchronise, and mmengine's Runner then
# turns SyncBN into BN by itself. Fewer GPUs keep the batch of 32 by accumulation, which batch norms do not see.
_base_ = './rcnn.py'

benchmark = dict(
    published_amp='fp16',
    global_batch=32,
    devices=16,  # x 2 images
    typical_size=(672, 1092),  # for the estimate of --dry-run; images are of all sizes
    schedule=[
        'train_cfg.max_epochs',
        'train_cfg.val_interval',
        'param_scheduler.milestones.0',
        'param_scheduler.milestones.1',
        'param_scheduler.warmup_iters',
    ],
    # The pixels' mean and std are ImageNet's for every backbone.
    fit={'model.neck.ViTPyramid.embed_dims': 'embed_dims', 'model.neck.FPN.in_channels': 'embed_dims'},
)

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(
        type='cae_bench.ViT',
        arch='base',
        out_indices=(3, 5, 7, 11),
        drop_path_rate=0.2,
        final_norm=False,
        img_size=(672, 1092),  # 42 x 68 patches
        # Absolute positions twice by bicubic interpolation: 14 x 14 -> 42 x 68 when loaded, and from there to each
        # padded batch by the factors ((h + 0.1) / 42, (w + 0.1) / 68), which also move the sampling points.
        pos_embed_resize='interpolate',
        runtime_pos_resize='scale_factor',
        train_pos_embed=False,
        with_cp=True,
    ),  # --cfg-options model.backbone.with_cp=False if memory allows
    neck=[
        dict(type='cae_bench.ViTPyramid', embed_dims=768, norm_cfg=norm_cfg),
        dict(type='mmdet.FPN', in_channels=[768] * 4, out_channels=256, num_outs=5),
    ],
    roi_head=dict(
        bbox_head=dict(
            norm_cfg=norm_cfg,
            reg_decoded_bbox=True,
            loss_bbox=dict(_delete_=True, type='mmdet.GIoULoss', loss_weight=10.0),
        )
    ),
    # mmdetection's own base keeps 1000
    train_cfg=dict(rpn_proposal=dict(max_per_img=2000)),
)

# Half of the images are resized; of the other half a piece is, cut out of a smaller copy (from DETR, by way of Swin).
resize = dict(
    type='RandomChoiceResize',
    resize_type='mmdet.Resize',
    keep_ratio=True,
    scales=[(short, 1333) for short in range(480, 801, 32)],
)
train_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(
        type='RandomChoice',
        transforms=[
            [resize],
            [
                dict(resize, scales=[(400, 1333), (500, 1333), (600, 1333)]),
                dict(
                    type='mmdet.RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True
                ),
                resize,
            ],
        ],
    ),
    dict(type='mmdet.PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='cae_bench.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    # 1-D tensors and biases are not decayed. The class token is: the official exception never matches its full name.
    paramwise_cfg=dict(layer_decay_rate=0.75),
)
# milestones in epochs, warm-up in iterations; no gradient clipping
param_scheduler = dict(
    type='cae_bench.WarmupStepLR',
    milestones=[9, 11],
    gamma=0.1,
    warmup_iters=500,
    warmup_ratio=0.001,
    by_epoch=True,
    convert_to_iter_based=True,
)
# the official scripts train with --no-validate and test the last epoch
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=12)
auto_scale_lr = dict(enable=False, base_batch_size=32)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='cae_bench.RunCheckpoint', interval=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
