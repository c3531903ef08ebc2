# CAE v2 base, 300 epochs, 8 GPUs x 256 images (project/CAEv2 of Atten4Vis/CAE). Teacher: CLIP ViT-B/16.
#     cae-bench pretrain caev2_vit-base_300e --data in1k=DIR --tokenizer ViT-B-16.pt
_base_ = './_base_/in1k.py'
model = dict(
    type='cae_bench.CAEv2',
    encoder=dict(arch='base', img_size=224),
    target=dict(type='cae_bench.ClipTokens', checkpoint=None),
    decoder_embed_dims=768,
    decoder_num_heads=12,
    regressor_depth=4,
    drop_path_rate=0.1,
    layer_scale_init_value=0.1,
)
view = dict(scale=(0.4, 1.0), color_jitter=0.4, second_size=224, second_interpolation='bicubic')
mask = dict(num_masked=98, min_block=16)  # half of the patches; small models hide fewer
pretrain = dict(epochs=300, warmup_epochs=10, per_device=256)
