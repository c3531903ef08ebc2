# COCO, Mask R-CNN, 12 epochs, 16 GPUs x 2 images, BEiT-L. As beit_vit-base.py: CAE's recipe, no published number.
_base_ = './beit_vit-base.py'

benchmark = dict(constants_of='cae_vit-large')
model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), layer_scale_init_value=1e-5),
    neck=[
        dict(type='cae_bench.ViTPyramid', embed_dims=1024, norm_cfg={{_base_.norm_cfg}}),
        dict(type='mmdet.FPN', in_channels=[1024] * 4, out_channels=256, num_outs=5),
    ],
)
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay_rate=0.85))
