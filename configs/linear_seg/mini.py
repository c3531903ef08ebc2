# Linear segmentation of frozen patch tokens in minutes, for any ViT and any data in ADE layout. NOT the paper's recipe:
# small images, a few hundred iterations; scores compare with other rows of this recipe only.
_base_ = './vit-base.py'

max_iters = 300
short_side = 256  # small pictures are enlarged, so that objects span several patches

benchmark = dict(global_batch=None)  # the loader's
model = dict(
    data_preprocessor=dict(size=(short_side, short_side), test_cfg=dict(size_divisor=32)),
    test_cfg=dict(_delete_=True, mode='whole'),
)

resize = dict(type='mmseg.Resize', scale=(4 * short_side, short_side), keep_ratio=True)
load_mask = dict(type='cae_bench.CheckMask', load=dict(type='mmseg.LoadAnnotations'))
train_pipeline = [
    dict(type='cae_bench.LoadImage'),
    dict(load_mask, num_classes=150),
    dict(
        type='RandomResize',
        resize_type='mmseg.Resize',
        scale=(4 * short_side, short_side),
        ratio_range=(0.8, 1.5),
        keep_ratio=True,
    ),
    dict(type='mmseg.RandomCrop', crop_size=(short_side, short_side), cat_max_ratio=0.9),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PackSegInputs'),
]
val_pipeline = [
    dict(type='cae_bench.LoadImage'),
    resize,
    dict(load_mask, num_classes=255),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(batch_size=8, num_workers=1, pin_memory=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, persistent_workers=False, pin_memory=False, dataset=dict(pipeline=val_pipeline))

param_scheduler = dict(warmup_iters=max_iters // 9)
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
