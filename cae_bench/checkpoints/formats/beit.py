"""BEiT pretraining (microsoft/unilm): one relative table for all blocks, no absolute positions unless asked for."""

from .._conversion import BEIT_HEADS, Conversion, StateDict, has, plain, separate_bias, take
from ..spec import HALF

NAME = 'BEiT pretraining'
DROP = {'mask_token': 'mask token', 'lm_head.*': 'pretraining head'}


def matches(sd: StateDict) -> bool:
    return plain(sd) and separate_bias(sd) and has(sd, 'mask_token', 'lm_head.')


def convert(sd: StateDict) -> Conversion:
    kind = 'learned' if 'pos_embed' in sd else 'none'
    return take(sd, 'beit', drop=DROP, pos_embed=kind, heads=BEIT_HEADS, pixels=HALF)
