"""The CAE encoder alone, with or without its prefix `encoder.`: what is left when the pretraining parts are removed."""

from .._conversion import CAE_HEADS, Conversion, StateDict, has, plain, separate_bias, take

NAME = 'CAE encoder'
OTHERS = ('head', 'fc_norm.', 'query_token', 'attentive_blocks.', 'mask_token', 'lm_head.')


def matches(sd: StateDict) -> bool:
    if not separate_bias(sd):
        return False
    prefixed = plain(sd, 'encoder.') and all(key.startswith('encoder.') for key in sd)
    return prefixed or (plain(sd) and 'pos_embed' in sd and not has(sd, *OTHERS))


def convert(sd: StateDict) -> Conversion:
    prefix = 'encoder.' if has(sd, 'encoder.') else ''
    return take(sd, 'cae', prefix=prefix, pos_embed='sincos_row', heads=CAE_HEADS)
