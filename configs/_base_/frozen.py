# What all protocols on frozen features share. A protocol adds one entry to `model.probes` and the views it reads, so
# that protocols asked for together on one data set join into one pass: cae_bench/probing/shared_pass.py.

size, resize = 224, 256

benchmark = dict(
    layout='image_folder',
    frozen=True,
    # top1 is that of the head and epoch the protocol selects; the others tell what the choice is worth
    metrics={name: dict(unit='%', higher_is_better=True) for name in ('top1', 'top5', 'top1_last', 'top1_held_out')},
    schedule=['train_cfg.max_epochs', 'train_cfg.val_interval'],
    fit={
        'model.num_classes': 'num_classes',
        'model.mean': 'mean255',
        'model.std': 'std255',
        'train_dataloader.dataset.data_root': 'data_root',
        'train_dataloader.dataset.split_dir': 'train_dir',
        'train_dataloader.dataset.classes': 'classes',
        'train_dataloader.dataset.limit': 'limit',
        'val_dataloader.dataset.data_root': 'data_root',
        'val_dataloader.dataset.split_dir': 'val_dir',
        'val_dataloader.dataset.classes': 'classes',
        'val_dataloader.dataset.limit': 'limit',
    },
)

model = dict(
    type='cae_bench.FrozenProbes',
    backbone=dict(type='cae_bench.ViT', frozen=True),
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    precision='float32',
    probes=dict(),
)

eval_view = dict(type='cae_bench.CenterView', size=size, resize=resize, interpolation='bicubic')
train_dataloader = dict(
    batch_size=128,  # of the forward pass only: heads have their own
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='cae_bench.collate_views'),
    sampler=dict(type='cae_bench.PassSampler', shuffle=True),
    dataset=dict(
        type='cae_bench.ImageViews',
        data_root='',
        split_dir='train',
        classes=None,
        limit=None,
        skip_corrupt=False,
        views=dict(),
        once=[],
        held_out=0.0,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='cae_bench.collate_views'),
    sampler=dict(type='cae_bench.PassSampler', shuffle=False),
    dataset=dict(
        type='cae_bench.ImageViews',
        data_root='',
        split_dir='val',
        classes=None,
        limit=None,
        skip_corrupt=False,
        views=dict(eval=eval_view),
    ),
)
model_wrapper_cfg = dict(type='cae_bench.Replica')  # several processes: gradients are summed by the trainers
val_evaluator = dict(type='cae_bench.ProbeAccuracy')

# The trainers are built from the probes: effective batch, BatchNorm group, optimizer and schedule are each probe's own.
optim_wrapper = dict(type='OptimWrapper', constructor='cae_bench.ProbeOptimizers')
train_cfg = dict(type='cae_bench.FrozenTrainLoop', max_epochs=90, val_interval=1)
val_cfg = dict(type='cae_bench.ProbeValLoop')

custom_hooks = [dict(type='cae_bench.HeadLines')]
default_scope = 'cae_bench'
default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(type='cae_bench.RunCheckpoint', by_epoch=False, interval=1000),
)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
