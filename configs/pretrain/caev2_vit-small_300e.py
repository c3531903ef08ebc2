# CAE v2 small: a quarter of the patches hidden, one regressor block (project/CAEv2). 12 heads, not DeiT's 6.
_base_ = './caev2_vit-base_300e.py'
model = dict(encoder=dict(arch='small', num_heads=12), decoder_embed_dims=384, regressor_depth=1)
mask = dict(num_masked=49)
