# ImageNet-1k, MAE-B: 100 epochs, 32 GPUs x 32 images. 83.6 (MAE, arXiv 2111.06377); 83.664 with the released code.
# Source: main_finetune.py and FINETUNE.md of facebookresearch/mae.
_base_ = '../_base_/finetune.py'

benchmark = dict(global_batch=1024, devices=32)  # x 32 images
model = dict(
    backbone=dict(qkv_bias='full', pos_embed='sincos_col', layer_scale=False, train_pos_embed=True)
)  # timm's ViT trains the table that the checkpoint gives
train_dataloader = dict(batch_size=32)
val_dataloader = dict(batch_size=48)
optim_wrapper = dict(
    optimizer=dict(lr=2e-3),  # blr 5e-4 x 1024 / 256
    paramwise_cfg=dict(layer_decay_rate=0.65),
)
param_scheduler = dict(type='cae_bench.FractionalCosineLR')  # util/lr_sched.py, by fractions of an epoch
auto_scale_lr = dict(enable=False, base_batch_size=1024)
