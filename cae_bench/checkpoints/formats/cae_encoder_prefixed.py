"""The CAE encoder alone with its prefix `encoder.`, as it lies in a pretraining file."""

from .._conversion import CAE_HEADS, SEPARATE_BIAS, Conversion, StateDict, take, vit_under

NAME = 'CAE encoder with its prefix'
KEYS = (*vit_under('encoder.'), SEPARATE_BIAS)


def matches(sd: StateDict) -> bool:
    """With anything beside the encoder it is the pretraining file of some method, and not alone."""
    return all(key.startswith('encoder.') for key in sd)


def convert(sd: StateDict) -> Conversion:
    return take(sd, 'cae', prefix='encoder.', pos_embed='sincos_row', heads=CAE_HEADS)
