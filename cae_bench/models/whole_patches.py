"""What becomes of an image that is no whole number of patches: nothing of it may be dropped.

Classification refuses it, its recipes round the size of their views (`cae_bench.runs.input_size`). Dense networks pad it,
with zeros to the right and below: pixel (x, y) stays where it is, so boxes, strides and masks mean what they meant.
DINOv2 pads all round, which moves every pixel by half of what is missing.
"""

import torch.nn.functional as F
from torch import Tensor

from ..errors import ConfigError
from .patch_sizes import nearest


def missing(x: Tensor, multiple: int, patch_size: int | None = None) -> tuple[int, int]:
    """(rows, columns) to add to (..., H, W) for whole multiples; an axis of whole patches is left as it is.

    patch_size: where it is not `multiple`. A pyramid that halves the map of patches lies exactly on the image only
        where the patches are even in number, so what is padded at all is padded to two patches.
    """
    patch_size = patch_size or multiple
    rows, columns = (-side % multiple if side % patch_size else 0 for side in x.shape[-2:])
    return rows, columns


def pad(x: Tensor, rows: int, columns: int, value: float = 0) -> Tensor:
    """(..., H, W) -> (..., H + rows, W + columns), filled below and to the right."""
    return F.pad(x, (0, columns, 0, rows), value=value) if rows or columns else x


def check_whole(x: Tensor, patch_size: int) -> tuple[int, int]:
    """(rows, columns) of patches; raises ConfigError for an image whose last ones would be cut."""
    height, width = x.shape[-2:]
    if height % patch_size or width % patch_size:
        whole = f'{nearest(height, patch_size)} x {nearest(width, patch_size)}'
        raise ConfigError(
            f'an input of {height} x {width} pixels does not fill patches of {patch_size}: give sizes like '
            f'{whole}, or take maps from forward(), which pads'
        )
    return height // patch_size, width // patch_size
