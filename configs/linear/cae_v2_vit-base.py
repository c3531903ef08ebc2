# ImageNet-1K linear probing of CAE v2 base: half the batch of CAE's, and so half its rate.
# Source: project/CAEv2/scripts/caev2_base_300e.sh L64-89 of Atten4Vis/CAE, 8 GPUs x 1,024 images, blr 0.1.
_base_ = './vit-base.py'

model = dict(
    backbone=dict(arch='base'),
    probes=dict(
        linear=dict(
            batch_size=8192,
            bn_group=1024,
            grid=dict(lr=[3.2]),
            source='Atten4Vis/CAE project/CAEv2/scripts/caev2_{base,small}_300e.sh',
        )
    ),
)
