# ADE20K as all published dense recipes read it, and what their runs share; fits any data in ADE layout. No model here.
# Source: CAE downstream_tasks/semantic_segmentation/configs_local/_base_/datasets/ade20k.py, mmsegmentation 0.11's file,
# in 1.x's words.

from importlib import import_module

crop_size = (512, 512)

benchmark = dict(
    version=2,
    layout='ade',
    frozen=False,
    metrics=dict(
        mIoU=dict(unit='%', higher_is_better=True),
        mAcc=dict(unit='%', higher_is_better=True),
        aAcc=dict(unit='%', higher_is_better=True),
    ),
    schedule=[
        'train_cfg.max_iters',
        'train_cfg.val_interval',
        'default_hooks.checkpoint.interval',
        'param_scheduler.warmup_iters',
    ],
    fit={
        f'{loader}_dataloader.dataset.{key}': what.format(split=split)
        for loader, split in (('train', 'train'), ('val', 'val'), ('test', 'val'))
        for key, what in (
            ('data_root', 'data_root'),
            ('metainfo.classes', 'classes'),
            ('indices', 'limit'),
            ('reduce_zero_label', 'reduce_zero_label'),
            ('data_prefix.img_path', '{split}_img'),
            ('data_prefix.seg_map_path', '{split}_ann'),
            ('img_suffix', 'img_suffix'),
            ('seg_map_suffix', 'seg_map_suffix'),
        )
    }
    | {'train_dataloader.dataset.pipeline.CheckMask.num_classes': 'num_classes'},
)

data_preprocessor = dict(
    type='mmseg.SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=crop_size,
)  # pads after normalising, as the official pipeline does

train_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='cae_bench.CheckMask', load=dict(type='mmseg.LoadAnnotations'), num_classes=150),
    dict(type='RandomResize', resize_type='mmseg.Resize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='mmseg.RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='mmseg.PackSegInputs'),
]
val_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmseg.Resize', scale=(2048, 512), keep_ratio=True),
    # after the resize: predictions are scored on the masks as they are. MeanIoU compares labels with the class list.
    dict(type='cae_bench.CheckMask', load=dict(type='mmseg.LoadAnnotations'), num_classes=255),
    dict(type='mmseg.PackSegInputs'),
]
# for mmseg's own tools, which look for these transforms by their bare names
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
# mmseg's own list has 'bed ' with a blank; a config in this style can import no package but by a call
classes = list(import_module('cae_bench.datasets.layouts.ade').ADE20K_CLASSES)
dataset = dict(
    type='mmseg.BaseSegDataset',
    data_root='data/ADEChallengeData2016',
    metainfo=dict(classes=tuple(classes)),
    data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
    img_suffix='.jpg',
    seg_map_suffix='.png',
    reduce_zero_label=True,
    indices=None,
)
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(**dataset, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,  # images of all sizes: one at a time
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, pipeline=val_pipeline, test_mode=True),
)
test_dataloader = dict(val_dataloader, dataset=dict(**dataset, pipeline=test_pipeline, test_mode=True))
val_evaluator = dict(type='cae_bench.MeanIoU')
test_evaluator = dict(type='cae_bench.MeanIoU')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

default_scope = 'mmseg'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='cae_bench.RunCheckpoint', by_epoch=False, interval=8000),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    pictures=dict(type='cae_bench.SegmentationPictures'),
    validation=dict(type='cae_bench.SameRandomNumbers'),
)
visualizer = dict(type='mmseg.SegLocalVisualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')])
env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
log_processor = dict(by_epoch=False)
