# CAE v2 tiny: 30 patches hidden, one regressor block of width 96 (project/CAEv2). 12 heads, not DeiT's 3.
_base_ = './caev2_vit-base_300e.py'
model = dict(encoder=dict(arch='tiny', num_heads=12), decoder_embed_dims=96, regressor_depth=1)
mask = dict(num_masked=30)
