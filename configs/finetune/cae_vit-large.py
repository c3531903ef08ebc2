# ImageNet-1k, CAE-L: 50 epochs, 32 GPUs x 64 images x 2 accumulated. 86.2 after 1600 epochs (CAE README).
# Source: scripts/cae_large_1600e.sh of Atten4Vis/CAE.
_base_ = './cae_vit-base.py'

model = dict(backbone=dict(arch='large', drop_path_rate=0.2, layer_scale_init_value=1e-5))
train_dataloader = dict(batch_size=64)
val_dataloader = dict(batch_size=96)
optim_wrapper = dict(optimizer=dict(lr=2e-3), paramwise_cfg=dict(layer_decay_rate=0.75))
train_cfg = dict(max_epochs=50)
