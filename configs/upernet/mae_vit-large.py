# ADE20K, UPerNet, 160k iterations, 8 GPUs x 2 images. MAE-L: 53.6 mIoU (MAE, arXiv 2111.06377), in CAE's table too.
# Source: the one MAE config of CAE's downstream_tasks/semantic_segmentation, lr 4e-4. What gave MAE's own 53.6 was
# never released. It inherits a file that is missing there (upernet_beit.py); upernet_cae.py holds the same values.
_base_ = './mae_vit-base.py'

model = dict(
    backbone=dict(arch='large', out_indices=(7, 11, 15, 23), drop_path_rate=0.2, train_pos_embed=False),
    neck=dict(embed_dims=1024),
    decode_head=dict(in_channels=[1024] * 4, channels=1024),
    auxiliary_head=dict(in_channels=1024),
)
optim_wrapper = dict(optimizer=dict(lr=4e-4), paramwise_cfg=dict(layer_decay_rate=0.65))
default_hooks = dict(checkpoint=dict(interval=32000))
