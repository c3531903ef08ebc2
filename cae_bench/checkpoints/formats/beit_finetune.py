"""BEiT fine-tuned (microsoft/unilm, timm): a relative table in every block, fc_norm in place of the final norm."""

from .._conversion import BEIT_HEADS, Conversion, StateDict, has, no_norm_if_pooled, plain, separate_bias, take
from ..spec import HALF

NAME = 'BEiT fine-tuned'
OTHERS = ('mask_token', 'lm_head.', 'head.0.', 'head.1.', 'query_token', 'attentive_blocks.')


def matches(sd: StateDict) -> bool:
    return plain(sd) and separate_bias(sd) and 'pos_embed' not in sd and not has(sd, *OTHERS)


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
