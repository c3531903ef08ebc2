# ImageNet-1k, BEiT-L pretrained only: 50 epochs, 8 GPUs x 64 images x 2 accumulated. 86.0 (BEiT README).
# Source: beit/README.md of microsoft/unilm.
_base_ = './beit_vit-base.py'

model = dict(backbone=dict(arch='large', drop_path_rate=0.2, layer_scale_init_value=1e-5))
train_dataloader = dict(batch_size=64)
val_dataloader = dict(batch_size=96)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(layer_decay_rate=0.75))
param_scheduler = dict(warmup_epochs=5)
train_cfg = dict(max_epochs=50)
