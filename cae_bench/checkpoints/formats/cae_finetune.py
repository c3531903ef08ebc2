"""CAE fine-tuned on a classification set: fc_norm in place of the final norm, a relative table in every block."""

from .._conversion import CAE_HEADS, Conversion, StateDict, has, no_norm_if_pooled, plain, separate_bias, take

NAME = 'CAE fine-tuned'


def matches(sd: StateDict) -> bool:
    return (
        plain(sd)
        and separate_bias(sd)
        and 'pos_embed' in sd
        and has(sd, 'head.', 'fc_norm.')
        and not has(sd, 'head.0.', 'head.1.', 'query_token', 'attentive_blocks.', 'mask_token', 'lm_head.')
    )


def convert(sd: StateDict) -> Conversion:
    return take(
        sd,
        'cae',
        drop={'head.*': 'classifier head'},
        pos_embed='sincos_row',
        heads=CAE_HEADS,
        absent=no_norm_if_pooled(sd),
    )
