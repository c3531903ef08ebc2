# COCO, Mask R-CNN, 12 epochs, 16 GPUs x 2 images. CAE-B: 48.3 / 49.9 / 50.3 box AP and 42.7 / 43.9 / 44.2 mask AP
# after 300 / 800 / 1600 epochs of pretraining (CAE README).
# Source: the base config of downstream_tasks/detection/evaluation/object_detection/configs/mask_rcnn/ of Atten4Vis/CAE.
_base_ = '../_base_/mask_rcnn.py'

model = dict(backbone=dict(layer_scale_init_value=0.1, rel_pos_bias='none'))
optim_wrapper = dict(optimizer=dict(lr=3e-4), paramwise_cfg=dict(layer_decay_rate=0.75))
