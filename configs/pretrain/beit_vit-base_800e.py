# BEiT-base, 800 epochs on ImageNet-1k, 16 GPUs x 128 images (microsoft/unilm, README of beit/).
# Pixels are normalised with ImageNet's mean and deviation: the README's commands for ImageNet-1k end in
# --imagenet_default_mean_and_std; 0.5 is of ImageNet-22k. Colours are jittered before flip and crop (beit/datasets.py
# L34, in the release 2312c6f and today; absent only between 2021-11-25 and 2022-01-18). Masks stop at the first block
# that does not fit, so some hide fewer than 75 patches. Betas (run_beit_pretraining.py L69) and drop path (L61) are those
# of today's code; older versions had 0.98 and 0 as defaults.
_base_ = './_base_/in1k.py'
model = dict(
    type='cae_bench.BEiT',
    encoder=dict(arch='base', img_size=224),
    target=dict(type='cae_bench.DalleCodes', checkpoint=None),
    drop_path_rate=0.1,
)
view = dict(color_jitter=0.4, second_size=112)
mask = dict(num_masked=75, min_block=16, exact=False)
pretrain = dict(epochs=800, warmup_epochs=10, no_decay=('encoder.cls_token',))
