# Linear segmentation of frozen patch tokens, ADE20K, 40k iterations, 8 GPUs x 2 images of 512 x 512: a cheap dense
# probe for any ViT. For scale: DINOv2 reports it in its table of semantic segmentation, column "lin.", with patches of
# 14 pixels; nobody has published it for CAE, MAE and BEiT in these words.
# Source: DINOv2 (arXiv 2304.07193, section 7.4) and its dinov2_vitb14_ade20k_linear_config.py (mmsegmentation 0.x).
# Backbone: last block after LayerNorm, no class token. Head: batch norm and a linear layer, bilinear upsampling.
_base_ = '../_base_/ade20k.py'

benchmark = dict(
    global_batch=16,
    devices=8,  # x 2 images, fp32
    # a frozen backbone sees pixels as in its pretraining
    fit={
        'model.data_preprocessor.mean': 'mean255',
        'model.data_preprocessor.std': 'std255',
        'model.neck.embed_dims': 'embed_dims',
        'model.decode_head.in_channels': 'embed_dims',
        'model.decode_head.channels': 'embed_dims',
        'model.decode_head.num_classes': 'num_classes',
    },
)

model = dict(
    type='cae_bench.Segmentor',
    data_preprocessor={{_base_.data_preprocessor}},
    backbone=dict(type='cae_bench.ViT', arch='base', frozen=True, out_indices=-1),
    neck=dict(type='cae_bench.TokenNorm', embed_dims=768, norm_cfg=dict(type='SyncBN', requires_grad=True)),
    decode_head=dict(
        type='mmseg.FCNHead',
        num_convs=0,
        concat_input=False,
        in_channels=768,
        in_index=0,
        channels=768,
        dropout_ratio=0,
        num_classes=150,
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-4))
param_scheduler = dict(
    type='cae_bench.WarmupPolyLR', power=1.0, min_lr=0.0, warmup_iters=1500, warmup_ratio=1e-6, by_epoch=False
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=10000)
default_hooks = dict(checkpoint=dict(interval=10000))
auto_scale_lr = dict(enable=False, base_batch_size=16)
