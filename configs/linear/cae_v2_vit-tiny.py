# ImageNet-1K linear probing of CAE v2 tiny: CAE's batch and rate, on 8 GPUs x 2,048 images.
# Source: project/CAEv2/scripts/caev2_tiny_300e.sh of Atten4Vis/CAE.
_base_ = './vit-base.py'

model = dict(
    backbone=dict(arch='tiny'),
    probes=dict(linear=dict(bn_group=2048, source='Atten4Vis/CAE project/CAEv2/scripts/caev2_tiny_300e.sh')),
)
