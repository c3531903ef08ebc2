"""CAE pretraining in the older layout (lxtGH/CAE), where regressor and decoder share the module `pretext_neck`."""

from .._conversion import CAE_HEADS, Conversion, StateDict, take

NAME = 'CAE pretraining, old layout'
KEYS = ('encoder.blocks.*', 'pretext_neck.*')
DROP = {
    'pretext_neck.*': 'pretraining regressor and decoder',
    'encoder_to_decoder*': 'pretraining regressor and decoder',
    'rd_pos_embed': 'positions of regressor and decoder',
    'mask_token': 'mask token',
    'teacher.*': 'teacher network: a copy of the encoder',
}


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae', prefix='encoder.', drop=DROP, pos_embed='sincos_row', heads=CAE_HEADS)
