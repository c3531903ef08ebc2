# ADE20K, UPerNet, 160k iterations, 8 GPUs x 2 images of 512 x 512. MAE-B: 48.1 mIoU (MAE, arXiv 2111.06377); 48.13
# with these constants (mmsegmentation, configs/mae/metafile.yaml; trained in April 2022 under mmcv 1.x).
# MAE's authors released no segmentation code. Source: mmsegmentation configs/mae/mae-base_upernet_8xb2-amp-160k_
# ade20k-512x512.py, the re-implementation that reaches the published number.
# Its port to 1.x is not followed where it changed: it starts the decay after the warm-up (up to 0.9 % more), and in
# spite of its name runs in fp32, for which the old `fp16=` key has no meaning any more.
_base_ = '../_base_/upernet.py'

model = dict(
    backbone=dict(
        qkv_bias='full',
        pos_embed='sincos_col',
        layer_scale_init_value=1.0,  # MAE has none: trained scales that start at one
        rel_pos_bias='block',  # trained tables that start at zero
        train_pos_embed=True,
    )
)  # not so in CAE's config for MAE-L
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(layer_decay_rate=0.65))
