# CAE-base, 300 epochs on ImageNet-1k, 32 GPUs x 64 images (scripts/cae_base_300e.sh of Atten4Vis/CAE).
# Official README: linear 64.5, attentive 74.0, fine-tuning 83.6, ADE20K 48.1 mIoU, COCO 48.3 / 42.7 AP.
#     torchrun --nproc_per_node=8 -m cae_bench pretrain cae_vit-base_300e --launcher torchrun \
#         --data in1k=DIR --tokenizer encoder.pkl
#
# Where the sources disagree, the published torch scripts are followed: 98 hidden patches and drop path 0.1. The Paddle
# release, PASSL and mmpretrain hide 75 and drop nothing. Layer scale 0.1, Xavier start: `--fix_init_weight` was never
# passed on.
_base_ = './_base_/in1k.py'
model = dict(
    type='cae_bench.CAE',
    encoder=dict(arch='base', img_size=224),
    target=dict(type='cae_bench.DalleCodes', checkpoint=None),
    decoder_embed_dims=768,
    decoder_num_heads=12,
    regressor_depth=4,
    decoder_depth=4,
    drop_path_rate=0.1,
    layer_scale_init_value=0.1,
    align_weight=2.0,
)
view = dict(second_size=112)  # 14 x 14 codes of DALL-E
mask = dict(num_masked=98, min_block=16)
pretrain = dict(epochs=300, warmup_epochs=10)
