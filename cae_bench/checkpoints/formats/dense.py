"""Segmentation and detection files of the CAE repository (CAE, BEiT, MAE): `backbone.*` with its pyramid fpn1, fpn2."""

from .._conversion import NO_NORM, Conversion, StateDict, beside, take, vit_under
from .._guess import guess, under

NAME = 'segmentation or detection file (backbone with fpn)'
KEYS = (*vit_under('backbone.'), 'backbone.fpn*')
PREFIX = 'backbone.'


def convert(sd: StateDict) -> Conversion:
    drop = {f'{PREFIX}fpn[1-4].*': 'feature pyramid', **beside(sd, PREFIX)}
    return take(sd, prefix=PREFIX, drop=drop, absent=NO_NORM, **guess(under(sd, PREFIX)))
