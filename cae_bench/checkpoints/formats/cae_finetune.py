"""CAE fine-tuned on a classification set: fc_norm in place of the final norm, a relative table in every block."""

from .._conversion import CAE_HEADS, SEPARATE_BIAS, VIT, Conversion, StateDict, no_norm_if_pooled, take

NAME = 'CAE fine-tuned'
KEYS = (*VIT, SEPARATE_BIAS, 'pos_embed', ('head.*', 'fc_norm.*'))


def convert(sd: StateDict) -> Conversion:
    return take(
        sd,
        'cae',
        drop={'head.*': 'classifier head'},
        pos_embed='sincos_row',
        heads=CAE_HEADS,
        absent=no_norm_if_pooled(sd),
    )
