"""Position tables at run time: what a block adds when the input grid is not the one the tables were made for.

The resampling rules themselves live in `checkpoints/resize.py`, the one copy.
"""

from functools import lru_cache

import torch
from torch import Tensor

from ..checkpoints import resize
from ..checkpoints.resize import Grid

# Name of the rule -> function(table, source grid, target grid). 'size' is what classification and segmentation do;
# 'scale_factor' is CAE's detection backbone, whose factors (n + 0.1) / n0 also move the sampling coordinates.
RUNTIME_RULES = {'size': resize.resize_abs_pos, 'scale_factor': resize.resize_abs_pos_scale_factor}


def table_rows(grid: Grid) -> int:
    """Rows of a relative position table: every offset, then class-to-token, token-to-class, class-to-class."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3


def attention_index(grid: Grid, cls_token: bool = True) -> Tensor:
    """Flat index (L * L,) into a relative table, for L tokens in raster order (class token first)."""
    index = resize.relative_position_index(grid)
    return (index if cls_token else index[1:, 1:]).flatten()


@lru_cache(maxsize=8)
def cached_attention_index(grid: Grid, cls_token: bool, device: torch.device) -> Tensor:
    return attention_index(grid, cls_token).to(device)


def attention_bias(table: Tensor, index: Tensor) -> Tensor:
    """Table (rows, heads) -> bias (1, heads, L, L); without the leading 1 the fused kernels are left for slow ones.

    Selecting along the last axis of the transposed table gives the layout attention wants in one copy; its gradient
    is an index_add, many times faster than that of `table[index]`. Gathered in the table's own precision: the
    gradient of a half-precision gather would add up thousands of terms in half precision.
    """
    length = round(index.numel() ** 0.5)
    return table.t().contiguous().index_select(1, index).view(1, -1, length, length)


def resized_rel_table(table: Tensor, src: Grid, dst: Grid) -> Tensor:
    """Relative table (rows, heads) for another grid, by the rule of the loaders (geometric grid, cubic spline).

    A tensor-product spline is a linear map per axis, so two small matrices do it: differentiable, and rectangular
    grids are handled axis by axis. The three class rows are kept.
    """
    if src == dst:
        return table
    rows, cols = (axis_matrix(s, d, table.device).to(table.dtype) for s, d in zip(src, dst))
    offsets = table[:-3].view(2 * src[0] - 1, 2 * src[1] - 1, -1)
    offsets = torch.einsum('ai,bj,ijh->abh', rows, cols, offsets)
    return torch.cat([offsets.flatten(0, 1), table[-3:]])


@lru_cache(maxsize=64)
def axis_matrix(src: int, dst: int, device: torch.device) -> Tensor:
    """(2 dst - 1, 2 src - 1) matrix that resamples one axis of a relative table, read off the rule itself.

    Column i is the rule's answer to a table that is 1 at row offset i and 0 elsewhere, constant along columns.
    """
    n = 2 * src - 1
    if src == dst:
        return torch.eye(n, device=device)
    units = torch.eye(n, dtype=torch.float64).view(n, 1, n).expand(n, n, n).reshape(n * n, n)
    units = torch.cat([units, units.new_zeros(3, n)])
    out = resize.resize_rel_pos(units, (src, src), (dst, dst))
    return out[:-3].view(2 * dst - 1, 2 * dst - 1, n)[:, 0].to(device=device, dtype=torch.float32)
