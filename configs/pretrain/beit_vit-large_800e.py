# BEiT-large, 800 epochs: layer scale 1e-5, all else as base (microsoft/unilm).
_base_ = './beit_vit-base_800e.py'
model = dict(encoder=dict(arch='large', layer_scale_init_value=1e-5))
