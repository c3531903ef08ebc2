# ADE20K as in upernet/cae_vit-large.py, but tested at six scales and mirrored: a column of its own.
_base_ = ['../upernet/cae_vit-large.py', '../_base_/multi_scale.py']

model = dict(keep_logits=True)  # probabilities of the views are averaged
val_dataloader = dict(dataset=dict(pipeline={{_base_.multi_scale_pipeline}}))
val_cfg = dict(type='cae_bench.MultiScaleValLoop')
