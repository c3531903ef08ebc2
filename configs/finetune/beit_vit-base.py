# ImageNet-1k, BEiT-B pretrained only (no labels of ImageNet-22k): 100 epochs, 8 GPUs x 128 images. 83.7 (BEiT README).
# Source: beit/README.md and beit/run_class_finetuning.py of microsoft/unilm.
# Published under deepspeed's fp16. Checkpoints fine-tuned on ImageNet-22k have another recipe (lr 2e-5, 30 epochs).
_base_ = '../_base_/finetune.py'

benchmark = dict(global_batch=1024, devices=8)  # x 128 images
model = dict(
    backbone=dict(pos_embed='none', rel_pos_bias='block')
)  # the shared table is copied to every block, then each learns
# mean and std are 0.5: --imagenet_default_mean_and_std is not given
train_dataloader = dict(dataset=dict(transform=dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))))
val_dataloader = dict(
    dataset=dict(
        transform=[
            dict(type='cae_bench.CenterView', size=224, resize=256),
            dict(type='cae_bench.NormalizeImage', mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        ]
    )
)
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay_rate=0.65))
param_scheduler = dict(warmup_epochs=20)
auto_scale_lr = dict(enable=False, base_batch_size=1024)
