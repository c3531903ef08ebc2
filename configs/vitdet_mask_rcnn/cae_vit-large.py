# COCO, ViTDet with Mask R-CNN, 100 epochs, 64 GPUs x 1, CAE-L: MAE's recipe to the letter, so that the two can be
# compared under it. Nobody has published this number; CAE's own are of mask_rcnn.
_base_ = './mae_vit-large.py'

benchmark = dict(constants_of='mae_vit-large')
model = dict(backbone=dict(qkv_bias='qv', pos_embed='sincos_row', layer_scale=True))
