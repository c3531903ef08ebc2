# What every tiny pretraining shares, so that methods are compared under one encoder, one pipeline and one budget:
# width 128, depth 4, patches of 8 pixels, 64 tokens; about 800 updates of 128 images, under ten minutes on two cores.
# (The ViT named vit-tiny elsewhere, 192 wide and 12 deep, sees a quarter of the images in that time.)
# Works on any folder of images: --data cifar10=DIR. bfloat16 halves the time on CPUs that have it; others: --amp fp32.

encoder = dict(embed_dims=128, num_layers=4, num_heads=4, patch_size=8, img_size=64)
view = dict(type='cae_bench.TwoViews', scale=(0.4, 1.0))
# Half of 64 patches, as CAE hides 98 of 196; single ones, because rectangles on so small a grid leave the hidden patches
# without neighbours: after 3 epochs on CIFAR-10, CAE's mean-pooled k-NN was 29.7 with single patches, 25.7 with rectangles.
mask = dict(type='cae_bench.RandomMask', num_masked=32)
codes = dict(type='cae_bench.RandomProjectionCodes', codes=1024)  # no tokenizer to download
pretrain = dict(
    data='scenes',
    updates=800,
    batch=128,
    per_device=128,
    lr=1.5e-3,
    warmup=0.1,
    amp='bf16',
    in_memory=True,
    workers=1,
    log_every=10,
)
