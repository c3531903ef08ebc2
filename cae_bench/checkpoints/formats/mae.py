"""MAE pretraining (facebookresearch/mae): encoder with decoder, or the encoder alone as released."""

from .._conversion import MAE_HEADS, VIT, Conversion, StateDict, has, take
from .._infer import looks_like

NAME = 'MAE pretraining'
KEYS = (*VIT, 'pos_embed')
DECODER = 'decoder_'
DROP = {'mask_token': 'mask token', 'decoder_*': 'pretraining decoder'}


def matches(sd: StateDict) -> bool:
    """A file of the encoder alone has the keys of any plain ViT without head: the position table tells them apart."""
    return has(sd, DECODER) or looks_like(sd, 'sincos_col')


def convert(sd: StateDict) -> Conversion:
    done = take(sd, 'mae', drop=DROP, pos_embed='sincos_col', heads=MAE_HEADS)
    if not has(sd, DECODER):
        done.notes.append('MAE, not another plain ViT: told by the values of pos_embed (sin-cos, column first)')
    return done
