# Fine-tuning a ViT on ImageNet-1k: what BEiT, MAE and CAE have in common. The recipes beside say what differs.
# Constants as in the released scripts: BEiT beit/run_class_finetuning.py, MAE main_finetune.py + FINETUNE.md,
# CAE tools/run_class_finetuning.py + scripts/cae_{base,large}_*.sh.
# All three print the best epoch on the validation images. Here the last one counts (top1), nothing is selected on them;
# the best epoch stands beside it (top1_best_epoch), which is what published numbers are.

_base_ = './image_folder.py'

imagenet = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

benchmark = dict(
    metrics=dict(top1_best_epoch=dict(unit='%', higher_is_better=True)),
    published_amp='fp16',  # torch autocast with a dynamic loss scale: --amp fp16
    schedule=['train_cfg.max_epochs', 'param_scheduler.warmup_epochs'],
)

model = dict(
    type='cae_bench.Classifier',
    num_classes=1000,
    pool='mean',
    fc_norm_init='fresh',
    head_std=2e-5,  # BEiT, CAE: 0.02 x init_scale 0.001; MAE: 2e-5
    label_smoothing=0.1,
    mix=dict(mixup_alpha=0.8, cutmix_alpha=1.0, prob=1.0, switch_prob=0.5, mode='batch'),
    backbone=dict(type='cae_bench.ViT', arch='base', img_size=224, drop_path_rate=0.1),
)

train_dataloader = dict(
    batch_size=128,
    num_workers=10,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    # CAE and BEiT force this policy whenever they fine-tune; with a policy timm ignores their color_jitter of 0.4
    dataset=dict(
        transform=dict(
            type='cae_bench.TimmTrain', size=224, auto_augment='rand-m9-mstd0.5-inc1', reprob=0.25, **imagenet
        )
    ),
)
val_dataloader = dict(
    batch_size=192,
    num_workers=10,
    persistent_workers=False,
    pin_memory=True,
    dataset=dict(
        transform=[
            dict(type='cae_bench.CenterView', size=224, resize=256),
            dict(type='cae_bench.NormalizeImage', **imagenet),
        ]
    ),
)

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='cae_bench.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=4e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    # 1-D tensors and biases are never decayed. Relative position tables are: nobody lists them.
    paramwise_cfg=dict(layer_decay_rate=0.65, no_decay=('backbone.pos_embed', 'backbone.cls_token')),
)
# one value each optimizer step, from exactly 0; the layer scale also multiplies the minimum
param_scheduler = dict(
    type='cae_bench.WarmupCosineLR', warmup_epochs=5, min_lr=1e-6, by_epoch=True, convert_to_iter_based=True
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_evaluator = dict(best_epoch=True)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='cae_bench.RunCheckpoint', interval=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
