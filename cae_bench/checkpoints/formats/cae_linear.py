"""CAE under its linear probe: the frozen encoder, a head of batch norm (head.0) and linear layer (head.1)."""

from .._conversion import CAE_HEADS, SEPARATE_BIAS, VIT, Conversion, StateDict, take

NAME = 'CAE linear probe'
KEYS = (*VIT, SEPARATE_BIAS, 'pos_embed', 'head.0.*', 'head.1.*')


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae', drop={'head.*': 'classifier head'}, pos_embed='sincos_row', heads=CAE_HEADS)
