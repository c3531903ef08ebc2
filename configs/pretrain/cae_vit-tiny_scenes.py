# CAE in minutes on a CPU: random-projection codes instead of DALL-E's, two blocks of regressor and of decoder.
_base_ = './_base_/tiny.py'
model = dict(
    type='cae_bench.CAE',
    encoder={{_base_.encoder}},
    target={{_base_.codes}},
    regressor_depth=2,
    decoder_depth=2,
    decoder_num_heads=4,
)
