# COCO, Mask R-CNN, 12 epochs, 16 GPUs x 2 images. MAE-L: 54.0 box AP, 47.1 mask AP in CAE's table (CAE README).
# As mae_vit-base.py: CAE's recipe for large; the config behind the published row was never released.
_base_ = './mae_vit-base.py'

benchmark = dict(constants_of='cae_vit-large')
model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23)),
    neck=[
        dict(type='cae_bench.ViTPyramid', embed_dims=1024, norm_cfg={{_base_.norm_cfg}}),
        dict(type='mmdet.FPN', in_channels=[1024] * 4, out_channels=256, num_outs=5),
    ],
)
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(layer_decay_rate=0.85))
