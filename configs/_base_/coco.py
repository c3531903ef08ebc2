# COCO 2017 as the detection recipes read it, and what their runs share; fits any data in COCO layout. No model here.
# Source: mmdetection's coco_instance.py, which CAE's detection code (mmdetection 2.11) and its successors use.

benchmark = dict(
    version=2,
    layout='coco',
    frozen=False,
    metrics={
        f'{kind}_mAP{part}': dict(unit='%', higher_is_better=True)
        for kind in ('bbox', 'segm')
        for part in ('', '_50', '_75', '_s', '_m', '_l')
    },
    fit={
        f'{loader}_dataloader.dataset.{key}': what.format(split=split)
        for loader, split in (('train', 'train'), ('val', 'val'), ('test', 'val'))
        for key, what in (
            ('data_root', 'data_root'),
            ('metainfo.classes', 'classes'),
            ('ann_file', '{split}_ann'),
            ('data_prefix.img', '{split}_img'),
            ('indices', 'limit'),
        )
    }
    | {
        f'{evaluator}_evaluator.{key}': what
        for evaluator in ('val', 'test')
        for key, what in (('data_root', 'data_root'), ('ann_file', 'val_ann'))
    }
    | {f'model.roi_head.{head}_head.num_classes': 'num_classes' for head in ('bbox', 'mask')},
)

data_preprocessor = dict(
    type='mmdet.DetDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_mask=True,
    pad_size_divisor=32,
)  # pads after normalising; padding is attended, not masked

val_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(type='mmdet.Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='mmdet.PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
# for mmdet's own tools, which look for these transforms by their bare names
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
dataset = dict(
    type='mmdet.CocoDataset',
    data_root='data/coco',
    metainfo=dict(),  # whose classes are the official 80
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img='train2017'),
    indices=None,
)
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmdet.AspectRatioBatchSampler'),
    dataset=dict(**dataset, filter_cfg=dict(filter_empty_gt=True, min_size=32)),
)  # its pipeline is the recipe's
val_dataset = dict(
    dataset, ann_file='annotations/instances_val2017.json', data_prefix=dict(img='val2017'), test_mode=True
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**val_dataset, pipeline=val_pipeline),
)
test_dataloader = dict(val_dataloader, dataset=dict(**val_dataset, pipeline=test_pipeline))
val_evaluator = dict(type='cae_bench.CocoAP', data_root='data/coco', ann_file='annotations/instances_val2017.json')
test_evaluator = dict(type='cae_bench.CocoAP', data_root='data/coco', ann_file='annotations/instances_val2017.json')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

default_scope = 'mmdet'
default_hooks = dict(
    pictures=dict(type='cae_bench.DetectionPictures'), validation=dict(type='cae_bench.SameRandomNumbers')
)
visualizer = dict(type='mmdet.DetLocalVisualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')])
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
