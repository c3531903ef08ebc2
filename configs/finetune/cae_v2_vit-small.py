# ImageNet-1k, CAE v2 small: 200 epochs, 8 GPUs x 128 images.
# Source: project/CAEv2/scripts/caev2_small_300e.sh of Atten4Vis/CAE.
_base_ = './cae_v2_vit-base.py'

model = dict(backbone=dict(arch='small', num_heads=12))
optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = dict(warmup_epochs=20)
train_cfg = dict(max_epochs=200)
