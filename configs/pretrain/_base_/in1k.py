# What the published pretrainings on ImageNet-1k share. `batch` is kept by accumulation on fewer devices than the papers
# had; `--amp bf16` is steadier than the published fp16 where the device has it.
view = dict(type='cae_bench.TwoViews', scale=(0.08, 1.0))
mask = dict(type='cae_bench.BlockMask')
pretrain = dict(
    data='in1k',
    batch=2048,
    lr=1.5e-3,
    min_lr=1e-5,
    weight_decay=0.05,
    betas=(0.9, 0.999),
    clip_grad=3.0,
    amp='fp16',
    per_device=64,
    workers=10,
    save_every=5,
)
