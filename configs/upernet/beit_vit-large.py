# ADE20K, UPerNet, 160k iterations, 8 GPUs x 2 images of 512 x 512, BEiT-L.
# Source: microsoft/unilm beit/semantic_segmentation, the large `pt2ft` config, for a checkpoint fine-tuned on
# ImageNet-22k. No recipe was released for a BEiT-L that saw no labels: with such a file these constants are a guess.
_base_ = './beit_vit-base.py'

model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), drop_path_rate=0.2, layer_scale_init_value=1e-6),
    neck=dict(embed_dims=1024),
    decode_head=dict(in_channels=[1024] * 4, channels=1024),
    auxiliary_head=dict(in_channels=1024),
)
optim_wrapper = dict(optimizer=dict(lr=2e-5), paramwise_cfg=dict(layer_decay_rate=0.95))
