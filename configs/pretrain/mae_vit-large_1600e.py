# MAE-large, 1600 epochs. Copied by CAE's README: linear 76.0, attentive 78.8, fine-tuning 86.0, ADE20K 53.6 mIoU,
# COCO 54.0 / 47.1 AP.
_base_ = './mae_vit-base_1600e.py'
model = dict(encoder=dict(arch='large'))
