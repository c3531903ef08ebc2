# ADE20K, UPerNet, 160k iterations, 8 GPUs x 2 images. CAE-L, 1600 epochs of pretraining: 54.9 mIoU (CAE README).
# Source: upernet_cae_large_24_512_slide_160k_ade20k_pt_decay095_4e-5_dp015.py of downstream_tasks/
# semantic_segmentation/configs_local/cae/upernet/.
_base_ = './cae_vit-base.py'

benchmark = dict(by_pretraining=None)  # one length alone was published
model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), drop_path_rate=0.15, layer_scale_init_value=1e-5),
    neck=dict(embed_dims=1024),
    decode_head=dict(in_channels=[1024] * 4, channels=1024),
    auxiliary_head=dict(in_channels=1024),
)
optim_wrapper = dict(optimizer=dict(lr=4e-5), paramwise_cfg=dict(layer_decay_rate=0.95))
default_hooks = dict(checkpoint=dict(interval=32000))
