# BEiT-base, 800 epochs on ImageNet-1k, 16 GPUs x 128 images (microsoft/unilm, README of beit/).
# Pixels are normalised with mean and deviation 0.5. Masks stop at the first block that does not fit, so some hide fewer
# than 75 patches. Betas: (0.9, 0.999) in one version of run_beit_pretraining.py, (0.9, 0.98) in another; drop path 0.1
# is in the commands, 0 the default.
_base_ = './_base_/in1k.py'
model = dict(
    type='cae_bench.BEiT', encoder=dict(arch='base', img_size=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    target=dict(type='cae_bench.DalleCodes', checkpoint=None), drop_path_rate=0.1)
view = dict(second_size=112)
mask = dict(num_masked=75, min_block=16, exact=False)
pretrain = dict(epochs=800, warmup_epochs=10, no_decay=('encoder.cls_token', ))
