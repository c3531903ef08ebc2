# COCO, Mask R-CNN, 12 epochs, 16 GPUs x 2 images. CAE-L, 1600 epochs of pretraining: 54.5 box AP, 47.5 mask AP (CAE
# README). Source: the large config beside base's. Its file name says layer scale 0.1, its content 1e-5.
_base_ = './cae_vit-base.py'

model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), layer_scale_init_value=1e-5),
    neck=[
        dict(type='cae_bench.ViTPyramid', embed_dims=1024, norm_cfg={{_base_.norm_cfg}}),
        dict(type='mmdet.FPN', in_channels=[1024] * 4, out_channels=256, num_outs=5),
    ],
)
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay_rate=0.85))
