# COCO, ViTDet with Mask R-CNN, 184,375 iterations of 64 images (100 epochs), 64 GPUs x 1. MAE-B: 51.6 box AP, 45.9 mask
# AP (detectron2 projects/ViTDet/README.md).
# Not CAE's recipe (mask_rcnn, 12 epochs, 50.3): another backbone, pyramid, head, loss, augmentation and eight times the
# training. A column of its own.
# Source: detectron2 projects/ViTDet/configs/COCO/mask_rcnn_vitdet_b_100ep.py, configs/common/models/mask_rcnn_vitdet.py
# and mask_rcnn_fpn.py, configs/common/optim.py, ViTDet (arXiv 2203.16527).
# Precision: published in fp16 (torch autocast). `--amp fp16` is that, on CUDA; without it fp32.
_base_ = '../_base_/coco.py'

side = 1024
benchmark = dict(
    published_amp='fp16', global_batch=64, devices=64,
    schedule=['train_cfg.max_iters', 'train_cfg.val_interval', 'default_hooks.checkpoint.interval',
              'param_scheduler.milestones.0', 'param_scheduler.milestones.1', 'param_scheduler.warmup_iters'],
    fit={'model.neck.embed_dims': 'embed_dims'})

norm_cfg = dict(type='cae_bench.LN2d', eps=1e-6)
strides = [4, 8, 16, 32]
model = dict(
    type='mmdet.MaskRCNN',
    data_preprocessor=dict(
        type='mmdet.DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        pad_mask=True, pad_size_divisor=side),             # every image fits: all are padded to 1024 x 1024
    backbone=dict(
        type='cae_bench.WindowedViT', arch='base', drop_path_rate=0.1, final_norm=False, rel_pos_bias='none',
        window_size=14, global_blocks=(2, 5, 8, 11), table_size=side, out_indices=-1,
        # the table of 14 x 14 is trained, and resized to the input's 64 x 64 in every step
        train_pos_embed=True, runtime_pos_resize='size',
        with_cp=False),                                    # --cfg-options model.backbone.with_cp=True on small GPUs
    neck=dict(type='cae_bench.SimpleFeaturePyramid', embed_dims=768, out_channels=256),
    rpn_head=dict(
        type='mmdet.RPNHead', in_channels=256, feat_channels=256, num_convs=2,
        anchor_generator=dict(type='mmdet.AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[*strides, 64]),
        bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder', target_means=[.0] * 4, target_stds=[1.0] * 4),
        loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=1.0)),
    roi_head=dict(
        type='mmdet.StandardRoIHead',
        bbox_roi_extractor=dict(
            type='mmdet.SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels=256, featmap_strides=strides),
        bbox_head=dict(
            type='mmdet.ConvFCBBoxHead', num_shared_convs=4, num_shared_fcs=1, in_channels=256, conv_out_channels=256,
            fc_out_channels=1024, roi_feat_size=7, num_classes=80, norm_cfg=norm_cfg,
            bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder', target_means=[0.] * 4, target_stds=[.1, .1, .2, .2]),
            reg_class_agnostic=False,
            loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='mmdet.L1Loss', loss_weight=1.0)),
        mask_roi_extractor=dict(
            type='mmdet.SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=256, featmap_strides=strides),
        mask_head=dict(
            type='mmdet.FCNMaskHead', num_convs=4, in_channels=256, conv_out_channels=256, num_classes=80,
            norm_cfg=norm_cfg, loss_mask=dict(type='mmdet.CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3,
                          match_low_quality=True, ignore_iof_thr=-1),
            sampler=dict(type='mmdet.RandomSampler', num=256, pos_fraction=0.5, neg_pos_ub=-1,
                         add_gt_as_proposals=False),
            allowed_border=-1, pos_weight=-1, debug=False),
        rpn_proposal=dict(nms_pre=2000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(
            assigner=dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5,
                          match_low_quality=False, ignore_iof_thr=-1),
            sampler=dict(type='mmdet.RandomSampler', num=512, pos_fraction=0.25, neg_pos_ub=-1,
                         add_gt_as_proposals=True),
            mask_size=28, pos_weight=-1, debug=False)),
    test_cfg=dict(
        rpn=dict(nms_pre=1000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100, mask_thr_binary=0.5)))

# Large-scale jitter: flip, any scale from 0.1 to 2, a piece of at most 1024 x 1024, boxes from the masks that are left.
train_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='RandomResize', resize_type='mmdet.Resize', scale=(side, side), ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(type='mmdet.RandomCrop', crop_type='absolute', crop_size=(side, side), recompute_bbox=True,
         allow_negative_crop=True),
    dict(type='mmdet.FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type='mmdet.PackDetInputs'),
]
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
val_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.Resize', scale=(side, side), keep_ratio=True),
    dict(type='mmdet.PackDetInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(side, side), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]
train_dataloader = dict(
    batch_size=1, sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True), batch_sampler=None,
    dataset=dict(filter_cfg=dict(_delete_=True, filter_empty_gt=True), pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

optim_wrapper = dict(
    type='OptimWrapper', constructor='cae_bench.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
    # detectron2 spares PyTorch's norms and the positions: biases are decayed, and so are the LN of heads and pyramid
    paramwise_cfg=dict(layer_decay_rate=0.7, decay_biases=True, no_decay=('backbone.pos_embed',)))
param_scheduler = dict(type='cae_bench.WarmupStepLR', milestones=[163889, 177546], gamma=0.1, warmup_iters=250,
                       warmup_ratio=0.001, by_epoch=False)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=184375, val_interval=184375)
auto_scale_lr = dict(enable=False, base_batch_size=64)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=5000, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'))
log_processor = dict(by_epoch=False)
