"""CAE under its attentive probe: frozen encoder, query token, one cross-attention block, batch norm, head."""

from .._conversion import CAE_HEADS, SEPARATE_BIAS, VIT, Conversion, StateDict, take

NAME = 'CAE attentive probe'
KEYS = (*VIT, SEPARATE_BIAS, 'pos_embed', 'query_token', 'attentive_blocks.*')
DROP = {
    'query_token': 'attentive probe',
    'attentive_blocks.*': 'attentive probe',
    'fc_norm.*': 'attentive probe',
    'head.*': 'classifier head',
}


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae', drop=DROP, pos_embed='sincos_row', heads=CAE_HEADS)
