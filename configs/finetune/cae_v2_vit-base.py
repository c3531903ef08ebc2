# ImageNet-1k, CAE v2 base: 100 epochs, 8 GPUs x 128 images.
# Source: project/CAEv2/scripts/caev2_base_300e.sh L94-125 of Atten4Vis/CAE; the code is CAE's.
_base_ = './cae_vit-base.py'

benchmark = dict(global_batch=1024, devices=8)  # x 128 images
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay_rate=0.75))
auto_scale_lr = dict(enable=False, base_batch_size=1024)
