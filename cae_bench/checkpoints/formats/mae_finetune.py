"""MAE fine-tuned or linear-probed: timm's layout, told from timm's own ViTs by the position table it started from."""

from .._conversion import MAE_HEADS, VIT, Conversion, StateDict, no_norm_if_pooled, take
from .._infer import looks_like

NAME = 'MAE fine-tuned'
KEYS = (*VIT, 'pos_embed', ('head*', 'fc_norm.*'))


def matches(sd: StateDict) -> bool:
    return looks_like(sd, 'sincos_col')


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
