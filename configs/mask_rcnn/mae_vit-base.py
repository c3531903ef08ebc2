# COCO, Mask R-CNN, 12 epochs, 16 GPUs x 2 images. MAE-B: 48.4 box AP, 42.6 mask AP in CAE's table (CAE README).
# The config behind those rows was never released. This is CAE's recipe, with MAE's weights as they are: no layer scale,
# no relative positions, the learned table frozen as CAE's is. MAE's own 50.3 is of another recipe (ViTDet's precursor,
# 100 epochs), and so are the 51.6 of coco/vitdet_mask_rcnn: never the same column.
_base_ = '../_base_/mask_rcnn.py'

benchmark = dict(constants_of='cae_vit-base')
model = dict(backbone=dict(qkv_bias='full', pos_embed='sincos_col', layer_scale=False, rel_pos_bias='none'))
optim_wrapper = dict(optimizer=dict(lr=3e-4), paramwise_cfg=dict(layer_decay_rate=0.75))
