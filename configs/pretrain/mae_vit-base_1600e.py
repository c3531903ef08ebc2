# MAE-base, 1600 epochs, 64 GPUs x 64 images (facebookresearch/mae, PRETRAIN.md). Copied by CAE's README: linear 67.8,
# attentive 74.2, fine-tuning 83.6, ADE20K 48.1 mIoU, COCO 48.4 / 42.6 AP.
# Released weights: normalised pixels, lr 1.5e-4 x 4096 / 256, no clipping.
_base_ = './_base_/in1k.py'
model = dict(
    type='cae_bench.MAE',
    encoder=dict(arch='base', img_size=224),
    target=dict(type='cae_bench.NormalizedPixels'),
    decoder_embed_dims=512,
    decoder_depth=8,
    decoder_num_heads=16,
)
view = dict(scale=(0.2, 1.0))
mask = dict(_delete_=True, type='cae_bench.RandomMask', num_masked=147)  # three quarters of 196
pretrain = dict(
    epochs=1600,
    warmup_epochs=40,
    batch=4096,
    lr=2.4e-3,
    min_lr=0.0,
    betas=(0.9, 0.95),
    clip_grad=None,
    schedule='cae_bench.FractionalCosineLR',
)
