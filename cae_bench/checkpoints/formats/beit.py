"""BEiT pretraining (microsoft/unilm): one relative table for all blocks, no absolute positions unless asked for."""

from .._conversion import BEIT_HEADS, SEPARATE_BIAS, VIT, Conversion, StateDict, take
from ..spec import HALF

NAME = 'BEiT pretraining'
KEYS = (
    *VIT,
    SEPARATE_BIAS,
    ('mask_token', 'lm_head.*'),
    ('lm_head.*', '*relative_position_bias_table'),  # a head, or relative positions where somebody cut the head off
)
DROP = {'mask_token': 'mask token', 'lm_head.*': 'pretraining head'}


def convert(sd: StateDict) -> Conversion:
    kind = 'learned' if 'pos_embed' in sd else 'none'
    return take(sd, 'beit', drop=DROP, pos_embed=kind, heads=BEIT_HEADS, pixels=HALF)
