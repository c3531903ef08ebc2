# ImageNet-1K linear probing of CAE v2 small: as base (project/CAEv2/scripts/caev2_small_300e.sh of Atten4Vis/CAE).
_base_ = './cae_v2_vit-base.py'

model = dict(backbone=dict(arch='small'))
