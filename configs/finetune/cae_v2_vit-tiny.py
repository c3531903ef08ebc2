# ImageNet-1k, CAE v2 tiny: 100 epochs, 8 GPUs x 128 images, hardly any regularisation.
# Source: project/CAEv2/scripts/caev2_tiny_300e.sh of Atten4Vis/CAE. It asks for rand-m10; run_class_finetuning.py puts
# rand-m9 in its place whenever it fine-tunes.
_base_ = './cae_v2_vit-base.py'

model = dict(
    backbone=dict(arch='tiny', num_heads=12, drop_path_rate=0.0),
    label_smoothing=0.0,
    mix=dict(mixup_alpha=0.2, cutmix_alpha=0.0),
)
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay_rate=0.85))
