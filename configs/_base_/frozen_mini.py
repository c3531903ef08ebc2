# The shared part of the mini recipes: small input, one crop for all heads, few epochs. Minutes on two cores.
_base_ = './frozen.py'

size = 96
model = dict(backbone=dict(img_size=size))

eval_view = dict(type='cae_bench.CenterView', size=size, resize=size, interpolation='bicubic')
crop_view = dict(type='cae_bench.RandomCropView', size=size, scale=(0.35, 1.0), interpolation='bicubic')
train_dataloader = dict(batch_size=64, num_workers=1, pin_memory=False)
val_dataloader = dict(
    batch_size=64, num_workers=1, pin_memory=False, persistent_workers=False, dataset=dict(views=dict(eval=eval_view))
)
train_cfg = dict(max_epochs=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=200))
