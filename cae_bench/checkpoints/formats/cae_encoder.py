"""The CAE encoder alone under the released names: what is left when the pretraining parts are removed."""

from .._conversion import CAE_HEADS, SEPARATE_BIAS, VIT, Conversion, StateDict, take

NAME = 'CAE encoder'
KEYS = (*VIT, SEPARATE_BIAS, 'pos_embed')


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae', pos_embed='sincos_row', heads=CAE_HEADS)
