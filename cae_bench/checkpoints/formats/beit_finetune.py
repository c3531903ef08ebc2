"""BEiT fine-tuned (microsoft/unilm, timm): a relative table in every block, fc_norm in place of the final norm."""

from .._conversion import BEIT_HEADS, SEPARATE_BIAS, VIT, Conversion, StateDict, no_norm_if_pooled, take
from ..spec import HALF

NAME = 'BEiT fine-tuned'
KEYS = (*VIT, SEPARATE_BIAS)  # CAE's files have pos_embed besides


def convert(sd: StateDict) -> Conversion:
    return take(
        sd,
        'beit',
        drop={'head.*': 'classifier head'},
        pos_embed='none',
        heads=BEIT_HEADS,
        pixels=HALF,
        absent=no_norm_if_pooled(sd),
    )
