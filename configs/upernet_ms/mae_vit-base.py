# ADE20K as in upernet/mae_vit-base.py, but tested at six scales and mirrored: a column of its own.
# A network that upernet trained is scored without training: run iter_160000.pth --eval-only --tasks ade20k/upernet_ms
_base_ = ['../upernet/mae_vit-base.py', '../_base_/multi_scale.py']

model = dict(keep_logits=True)  # probabilities of the views are averaged
val_dataloader = dict(dataset=dict(pipeline={{_base_.multi_scale_pipeline}}))
val_cfg = dict(type='cae_bench.MultiScaleValLoop')
