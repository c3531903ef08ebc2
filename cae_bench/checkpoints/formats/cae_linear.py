"""CAE or BEiT under CAE's linear probe: the frozen encoder, a head of batch norm (head.0) and linear layer (head.1)."""

from .._conversion import BEIT_HEADS, CAE_HEADS, Conversion, StateDict, has, plain, separate_bias, take

NAME = 'CAE linear probe'


def matches(sd: StateDict) -> bool:
    probed = has(sd, 'head.0.', 'head.1.') and not has(sd, 'query_token', 'attentive_blocks.')
    return plain(sd) and separate_bias(sd) and probed


def convert(sd: StateDict) -> Conversion:
    positions = dict(family='cae', pos_embed='sincos_row', heads=CAE_HEADS)
    if 'pos_embed' not in sd and any(key.endswith('relative_position_bias_table') for key in sd):
        positions = dict(family='beit', pos_embed='none', heads=BEIT_HEADS)
    return take(sd, drop={'head.*': 'classifier head'}, **positions)
