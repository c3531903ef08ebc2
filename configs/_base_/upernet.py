# UPerNet on a plain ViT, ADE20K: what the recipes of CAE, MAE and BEiT have in common; those beside say what differs.
# Source, where no other is named: CAE downstream_tasks/semantic_segmentation/configs_local, _base_/models/upernet_cae.py
# and cae/upernet/*.py, which run mmsegmentation 0.11 under mmcv 1.3; BEiT's code is its ancestor.
# Precision: published under apex O1 (fp16 where it is safe). `--amp fp16` is that, on CUDA; without it fp32.
# Batch norms are synchronised over GPUs; a run of one process has nothing to synchronise, and mmengine's Runner then
# turns SyncBN into BN by itself. Fewer GPUs keep the batch of 16 by accumulation, which batch norms do not see.
_base_ = './ade20k.py'

benchmark = dict(
    published_amp='fp16',
    global_batch=16,
    devices=8,  # x 2 images
    random_numbers_per='update',  # `--seed 0` for all GPUs: they drop the same paths
    # The pixels' mean and std are ImageNet's for every backbone, also for BEiT, which was pretrained with 0.5.
    fit={
        'model.neck.embed_dims': 'embed_dims',
        'model.decode_head.in_channels': 'embed_dims',
        'model.decode_head.channels': 'embed_dims',
        'model.decode_head.num_classes': 'num_classes',
        'model.auxiliary_head.in_channels': 'embed_dims',
        'model.auxiliary_head.num_classes': 'num_classes',
    },
)

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='cae_bench.Segmentor',
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(
        type='cae_bench.ViT',
        arch='base',
        img_size=512,
        out_indices=(3, 5, 7, 11),
        drop_path_rate=0.1,
        # No norm after the last block: every tap is a raw block output. Learned and fixed absolute positions come
        # from the checkpoint's table, 14 x 14 -> 32 x 32 by bicubic interpolation.
        final_norm=False,
        pos_embed_resize='interpolate',
    ),
    neck=dict(type='cae_bench.ViTPyramid', embed_dims=768, norm_cfg=norm_cfg),
    decode_head=dict(
        type='mmseg.UPerHead',
        in_channels=[768] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=768,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='mmseg.FCNHead',
        in_channels=768,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='cae_bench.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    # 1-D tensors and biases are not decayed. The class token is: the official exception never matches its full name.
    paramwise_cfg=dict(layer_decay_rate=0.65),
)
# mmcv 1.x: the warm-up multiplies the falling rate, so it peaks at 0.9906 of lr; no gradient clipping
param_scheduler = dict(
    type='cae_bench.WarmupPolyLR', power=1.0, min_lr=0.0, warmup_iters=1500, warmup_ratio=1e-6, by_epoch=False
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
auto_scale_lr = dict(enable=False, base_batch_size=16)
