# ImageNet-1k, MAE-L: 50 epochs, 32 GPUs x 32 images. 85.9 (MAE, arXiv 2111.06377); 85.952 with the released code.
# Source: FINETUNE.md of facebookresearch/mae.
_base_ = './mae_vit-base.py'

model = dict(backbone=dict(arch='large', drop_path_rate=0.2))
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay_rate=0.75))  # blr 1e-3 x 4
train_cfg = dict(max_epochs=50)
