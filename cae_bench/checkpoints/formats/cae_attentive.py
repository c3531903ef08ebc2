"""CAE under its attentive probe: frozen encoder, query token, one cross-attention block, batch norm, head."""

from .._conversion import CAE_HEADS, Conversion, StateDict, has, plain, separate_bias, take

NAME = 'CAE attentive probe'
DROP = {
    'query_token': 'attentive probe',
    'attentive_blocks.*': 'attentive probe',
    'fc_norm.*': 'attentive probe',
    'head.*': 'classifier head',
}


def matches(sd: StateDict) -> bool:
    return plain(sd) and separate_bias(sd) and has(sd, 'query_token', 'attentive_blocks.')


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae', drop=DROP, pos_embed='sincos_row', heads=CAE_HEADS)
