"""CAE pretraining as Atten4Vis/CAE saves it (v1), with or without the projection between encoder and regressor."""

from .._conversion import CAE_HEADS, Conversion, StateDict, has, take

NAME = 'CAE pretraining'
DROP = {
    'alignment_encoder.*': 'alignment encoder: a copy of the encoder',
    'encoder_to_regresser*': 'pretraining regressor',
    'regresser.*': 'pretraining regressor',
    'decoder.*': 'pretraining decoder',
    'rd_pos_embed': 'positions of regressor and decoder',
    'mask_token': 'mask token',
    'teacher.*': 'teacher network',
}


def matches(sd: StateDict) -> bool:
    ours = has(sd, 'encoder.blocks.') and has(sd, 'regresser.')
    return ours and has(sd, 'decoder.decoder_blocks.', 'alignment_encoder.')


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae', prefix='encoder.', drop=DROP, pos_embed='sincos_row', heads=CAE_HEADS)
