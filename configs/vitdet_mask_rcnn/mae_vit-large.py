# COCO, ViTDet with Mask R-CNN, 100 epochs, 64 GPUs x 1. MAE-L: 55.5 box AP, 49.2 mask AP (detectron2's ViTDet README).
# Source: detectron2 projects/ViTDet/configs/COCO/mask_rcnn_vitdet_l_100ep.py.
_base_ = './mae_vit-base.py'

model = dict(backbone=dict(arch='large', drop_path_rate=0.4, global_blocks=(5, 11, 17, 23)), neck=dict(embed_dims=1024))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
