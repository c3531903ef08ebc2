"""CAE pretraining as Atten4Vis/CAE saves it (v1), with or without the projection between encoder and regressor."""

from .._conversion import CAE_HEADS, Conversion, StateDict, take

NAME = 'CAE pretraining'
KEYS = ('encoder.blocks.*', 'regresser.*', ('decoder.decoder_blocks.*', 'alignment_encoder.*'))
DROP = {
    'alignment_encoder.*': 'alignment encoder: a copy of the encoder',
    'encoder_to_regresser*': 'pretraining regressor',
    'regresser.*': 'pretraining regressor',
    'decoder.*': 'pretraining decoder',
    'rd_pos_embed': 'positions of regressor and decoder',
    'mask_token': 'mask token',
    'teacher.*': 'teacher network',
}


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae', prefix='encoder.', drop=DROP, pos_embed='sincos_row', heads=CAE_HEADS)
