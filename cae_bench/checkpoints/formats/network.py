"""A network around the ViT under the released names: what cae_bench's own runs write, or DINO with its head."""

from .._conversion import NO_NORM, Conversion, StateDict, beside, take
from .._guess import guess, under

NAME = 'network with a backbone (runs of cae_bench)'
KEYS = ('backbone.blocks.*', 'backbone.patch_embed.proj.*')
PREFIX = 'backbone.'


def convert(sd: StateDict) -> Conversion:
    drop = {
        f'{PREFIX}mask_token': 'mask token',
        f'{PREFIX}blocks.*.attn.rel_pos_[hw]': 'relative positions of ViTDet',
        f'{PREFIX}head.*': 'classifier head',
        **beside(sd, PREFIX),
    }
    inside = under(sd, PREFIX)
    # Only a network with its own task modules may go without the norm: it taps the blocks or normalises in its head.
    absent = NO_NORM if len(inside) < len(sd) else {}
    done = take(sd, prefix=PREFIX, drop=drop, absent=absent, **guess(inside))
    done.notes.append("mean and std of the pixels are not in such a file: ImageNet's are taken")
    return done
