"""CAE v2 pretraining (Atten4Vis/CAE): no alignment encoder, no decoder blocks, a head of CLIP's width."""

from .._conversion import CAE_HEADS, Conversion, StateDict, take
from . import cae

NAME = 'CAE v2 pretraining'
KEYS = ('encoder.blocks.*', 'regresser.*')


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae_v2', prefix='encoder.', drop=cae.DROP, pos_embed='sincos_row', heads=CAE_HEADS)
