# MAE in minutes on a CPU: three quarters hidden, decoder half as wide as the encoder.
_base_ = './_base_/tiny.py'
mask = dict(num_masked=48)
model = dict(
    type='cae_bench.MAE', encoder={{_base_.encoder}}, decoder_embed_dims=64, decoder_depth=2, decoder_num_heads=4
)
pretrain = dict(betas=(0.9, 0.95), clip_grad=None, min_lr=0.0)
