# ADE20K, UPerNet, 160k iterations, 8 GPUs x 2 images of 512 x 512, BEiT-B pretrained without labels.
# Source: microsoft/unilm beit/semantic_segmentation, the base `_pt` config.
# Sources that disagree: CAE's copy of this config has lr 4e-4 instead of 7e-4; BEiT's own is followed.
# A checkpoint that was fine-tuned on ImageNet-22k (`pt22k_ft22k`) has a recipe of its own, `pt2ft`: say
#     --cfg-options optim_wrapper.optimizer.lr=3e-5 optim_wrapper.paramwise_cfg.layer_decay_rate=0.9
_base_ = '../_base_/upernet.py'

# The shared table of the checkpoint, 14 x 14 -> 32 x 32 on a geometric grid, copied to every block; then each learns.
model = dict(backbone=dict(layer_scale_init_value=0.1, pos_embed='none', rel_pos_bias='block'))
optim_wrapper = dict(optimizer=dict(lr=7e-4), paramwise_cfg=dict(layer_decay_rate=0.65))
