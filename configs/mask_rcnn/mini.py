# Mask R-CNN in minutes, for any ViT and any data in COCO layout. NOT the paper's recipe: small images, 48-channel
# heads, few proposals, a few hundred iterations, no layer decay; scores compare with other rows of this recipe only.

max_iters = 600
short_side = 192          # small pictures are enlarged, so that objects span several patches
channels = 48             # of pyramid and heads; the paper's have 256

benchmark = dict(
    version=1, layout='coco', frozen=False, recipe='mini',
    metrics={f'{kind}_mAP{part}': dict(unit='%', higher_is_better=True)
             for kind in ('bbox', 'segm') for part in ('', '_50', '_75', '_s', '_m', '_l')},
    # lengths that shrink and grow together
    schedule=['train_cfg.max_iters', 'train_cfg.val_interval', 'default_hooks.checkpoint.interval',
              'param_scheduler.0.end', 'param_scheduler.1.begin', 'param_scheduler.1.end'],
    fit={
        'model.data_preprocessor.mean': 'mean255', 'model.data_preprocessor.std': 'std255',
        'model.neck.0.embed_dims': 'embed_dims', 'model.neck.1.in_channels': 'embed_dims',
        'model.roi_head.bbox_head.num_classes': 'num_classes', 'model.roi_head.mask_head.num_classes': 'num_classes',
        'train_dataloader.dataset.data_root': 'data_root',
        'train_dataloader.dataset.metainfo.classes': 'classes',
        'train_dataloader.dataset.ann_file': 'train_ann',
        'train_dataloader.dataset.data_prefix.img': 'train_img',
        'train_dataloader.dataset.indices': 'limit',
        'val_dataloader.dataset.data_root': 'data_root',
        'val_dataloader.dataset.metainfo.classes': 'classes',
        'val_dataloader.dataset.ann_file': 'val_ann',
        'val_dataloader.dataset.data_prefix.img': 'val_img',
        'val_dataloader.dataset.indices': 'limit',
        'val_evaluator.data_root': 'data_root', 'val_evaluator.ann_file': 'val_ann',
    })

norm_cfg = dict(type='BN', requires_grad=True)      # one process: there is nothing to synchronise
strides = [4, 8, 16, 32]
model = dict(
    type='mmdet.MaskRCNN',
    data_preprocessor=dict(
        type='mmdet.DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_mask=True, pad_size_divisor=32),
    backbone=dict(type='cae_bench.ViT', out_indices=(0.25, 0.5, 0.75, 1.0)),
    neck=[
        dict(type='cae_bench.ViTPyramid', embed_dims=192, norm_cfg=norm_cfg),
        dict(type='mmdet.FPN', in_channels=[192] * 4, out_channels=channels, num_outs=5, norm_cfg=norm_cfg),
    ],
    rpn_head=dict(
        type='mmdet.RPNHead', in_channels=channels, feat_channels=channels,
        anchor_generator=dict(type='mmdet.AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[*strides, 64]),
        bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder', target_means=[.0] * 4, target_stds=[1.0] * 4),
        loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=1.0)),
    roi_head=dict(
        type='mmdet.StandardRoIHead',
        bbox_roi_extractor=dict(
            type='mmdet.SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2),
            out_channels=channels, featmap_strides=strides),
        bbox_head=dict(
            type='mmdet.Shared2FCBBoxHead', in_channels=channels, fc_out_channels=256, roi_feat_size=7, num_classes=1,
            bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder', target_means=[0.] * 4, target_stds=[.1, .1, .2, .2]),
            reg_class_agnostic=False,
            loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='mmdet.L1Loss', loss_weight=1.0)),
        mask_roi_extractor=dict(
            type='mmdet.SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2),
            out_channels=channels, featmap_strides=strides),
        mask_head=dict(
            type='mmdet.FCNMaskHead', num_convs=2, in_channels=channels, conv_out_channels=channels, num_classes=1,
            loss_mask=dict(type='mmdet.CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3,
                          match_low_quality=True, ignore_iof_thr=-1),
            sampler=dict(type='mmdet.RandomSampler', num=128, pos_fraction=0.5, neg_pos_ub=-1,
                         add_gt_as_proposals=False),
            allowed_border=-1, pos_weight=-1, debug=False),
        rpn_proposal=dict(nms_pre=500, max_per_img=200, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(
            assigner=dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5,
                          match_low_quality=True, ignore_iof_thr=-1),
            sampler=dict(type='mmdet.RandomSampler', num=64, pos_fraction=0.25, neg_pos_ub=-1,
                         add_gt_as_proposals=True),
            mask_size=28, pos_weight=-1, debug=False)),
    test_cfg=dict(
        rpn=dict(nms_pre=500, max_per_img=200, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100, mask_thr_binary=0.5)))

train_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomResize', resize_type='mmdet.Resize', scale=(4 * short_side, short_side), ratio_range=(0.8, 1.25),
         keep_ratio=True),
    dict(type='mmdet.RandomCrop', crop_type='absolute', crop_size=(short_side, short_side), allow_negative_crop=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.PackDetInputs'),
]
val_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.Resize', scale=(4 * short_side, short_side), keep_ratio=True),
    dict(type='mmdet.PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
dataset = dict(type='mmdet.CocoDataset', data_root='', metainfo=dict(classes=('object',)), ann_file='',
               data_prefix=dict(img='images/train'), indices=None)
train_dataloader = dict(
    # in so short a schedule updates count for more than images
    batch_size=4, num_workers=1, persistent_workers=True, drop_last=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(**dataset, filter_cfg=dict(filter_empty_gt=True, min_size=32), pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, pipeline=val_pipeline, test_mode=True))
val_evaluator = dict(type='cae_bench.CocoAP', ann_file='', data_root='')

optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.98), weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0., flat_decay_mult=0.),
    clip_grad=dict(max_norm=5.0))
warmup = max_iters // 9
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=warmup),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-2, by_epoch=False, begin=warmup, end=max_iters),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')

default_scope = 'mmdet'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=max_iters),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    pictures=dict(type='cae_bench.DetectionPictures'))
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
log_processor = dict(by_epoch=False)
