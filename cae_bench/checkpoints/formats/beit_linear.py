"""BEiT under CAE's linear probe: no absolute positions, a head of batch norm (head.0) and linear layer (head.1)."""

from .._conversion import BEIT_HEADS, SEPARATE_BIAS, VIT, Conversion, StateDict, take

NAME = 'CAE linear probe of BEiT'
KEYS = (*VIT, SEPARATE_BIAS, 'head.0.*', 'head.1.*')


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'beit', drop={'head.*': 'classifier head'}, pos_embed='none', heads=BEIT_HEADS)
