"""MAE fine-tuned or linear-probed: timm's layout, told from timm's own ViTs by the position table it started from."""

from .._conversion import MAE_HEADS, Conversion, StateDict, has, no_norm_if_pooled, plain, separate_bias, take
from .._infer import looks_like
from . import mae

NAME = 'MAE fine-tuned'


def matches(sd: StateDict) -> bool:
    if not plain(sd) or separate_bias(sd) or has(sd, mae.DECODER):
        return False
    return has(sd, 'head', 'fc_norm.') and looks_like(sd, 'sincos_col')


def convert(sd: StateDict) -> Conversion:
    done = take(
        sd,
        'mae',
        drop={'head.*': 'classifier head'},
        pos_embed='sincos_col',
        heads=MAE_HEADS,
        absent=no_norm_if_pooled(sd),
    )
    done.notes.append('MAE, not another plain ViT: told by the values of pos_embed (near sin-cos, column first)')
    return done
