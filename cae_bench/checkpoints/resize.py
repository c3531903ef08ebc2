"""Position tables for another grid: fixed sin-cos, learned absolute, relative bias. The one copy of these formulas.

Two rules exist for absolute tables and they differ: loaders resize to a target size, CAE's detection forward resizes
by scale factors (n + 0.1) / n0 and keeps these factors in the coordinate map.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]  # (rows, columns) of patches
EXTRA_ROWS = 3  # class->token, token->class, class->class


def sincos_2d(embed_dims: int, grid: Grid, order: str = 'row', cls_token: bool = True) -> Tensor:
    """Fixed 2-D sin-cos table (1, 1+N, D), tokens in raster order, class row of zeros first.

    order: 'row' (CAE: the first half of the channels encodes the row) or 'col' (MAE: the column).
    """
    if embed_dims % 4 or order not in ('row', 'col'):
        raise ValueError(f'sincos_2d needs a width divisible by 4 and order row or col, got {embed_dims}, {order!r}')
    quarter = embed_dims // 4
    omega = 10000.0 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    row, col = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing='ij')
    axes = (row, col) if order == 'row' else (col, row)
    angles = [axis.flatten()[:, None] * omega for axis in axes]  # 2 x (N, D/4)
    table = torch.cat([part for a in angles for part in (a.sin(), a.cos())], dim=1).float()
    if cls_token:
        table = torch.cat([torch.zeros(1, embed_dims), table])
    return table[None]


def resize_abs_pos(pos_embed: Tensor, src_grid: Grid, dst_grid: Grid) -> Tensor:
    """Bicubic to a target size, class row kept: what classification, segmentation and detection loaders do."""
    return _resize_abs(pos_embed, src_grid, dst_grid, size=tuple(dst_grid))


def resize_abs_pos_scale_factor(pos_embed: Tensor, src_grid: Grid, dst_grid: Grid) -> Tensor:
    """Bicubic by scale factors (n + 0.1) / n0: what CAE's detection backbone does in every forward (DINO's rule)."""
    factors = tuple((n + 0.1) / n0 for n, n0 in zip(dst_grid, src_grid))
    return _resize_abs(pos_embed, src_grid, dst_grid, scale_factor=factors)


def _resize_abs(pos_embed: Tensor, src_grid: Grid, dst_grid: Grid, **how) -> Tensor:
    if tuple(src_grid) == tuple(dst_grid):
        return pos_embed
    extra = pos_embed.shape[1] - src_grid[0] * src_grid[1]  # 1 with a class token, else 0
    if extra not in (0, 1):
        raise ValueError(f'a table of {pos_embed.shape[1]} positions is not one of a {src_grid[0]}x{src_grid[1]} grid')
    kept, patches = pos_embed[:, :extra], pos_embed[:, extra:]
    image = patches.reshape(1, *src_grid, -1).permute(0, 3, 1, 2)
    image = F.interpolate(image.float(), mode='bicubic', align_corners=False, **how).to(pos_embed.dtype)
    return torch.cat([kept, image.flatten(2).transpose(1, 2)], dim=1)


def resize_rel_pos(table: Tensor, src_grid: Grid, dst_grid: Grid) -> Tensor:
    """Relative bias table ((2h-1)(2w-1)+3, heads) for another grid, as BEiT's fine-tuning does it.

    The source points are spaced geometrically, so offsets near zero keep their resolution; between them runs a cubic
    spline per head. The three rows about the class token are copied.
    """
    if tuple(src_grid) == tuple(dst_grid):
        return table
    from scipy.interpolate import RectBivariateSpline  # equal to the interp2d of older SciPy, to the last bit

    src = [2 * n - 1 for n in src_grid]
    dst = [2 * n - 1 for n in dst_grid]
    if table.shape[0] != src[0] * src[1] + EXTRA_ROWS:
        raise ValueError(f'a table of {table.shape[0]} rows is not one of a {src_grid[0]}x{src_grid[1]} grid')
    # an axis that keeps its length keeps its points: no q turns the geometric series into the plain one
    x, y = (range(-(s // 2), s // 2 + 1) if s == d else _geometric_offsets(s, d) for s, d in zip(src, dst))
    rows, columns = (torch.arange(-(d // 2), d // 2 + 1).double().numpy() for d in dst)
    kx, ky = (max(1, min(3, n - 1)) for n in src)  # tiny grids: fewer points
    values = table[:-EXTRA_ROWS].detach().double().cpu().reshape(*src, -1).numpy()
    heads = []
    for head in range(values.shape[-1]):
        spline = RectBivariateSpline(x, y, values[..., head], kx=kx, ky=ky, s=0)
        heads.append(torch.from_numpy(spline(rows, columns)).flatten())
    resized = torch.stack(heads, dim=1).to(table)
    return torch.cat([resized, table[-EXTRA_ROWS:]])


def _geometric_offsets(src: int, dst: int) -> list[float]:
    """Symmetric source coordinates 0, +-1, +-(1+q), ... whose end lies at about dst // 2."""
    steps, low, high = src // 2, 1.01, 1.5  # bisection limits and tolerance of the original
    q = low
    while high - low > 1e-6:
        q = (low + high) / 2
        low, high = (low, q) if math.fsum(q**k for k in range(steps)) > dst // 2 else (q, high)
    # q stays the last midpoint tried: the end point moves by 1e-4 if it is refined once more.
    positive = [math.fsum(q**k for k in range(i + 1)) for i in range(steps)]
    return [-x for x in reversed(positive)] + [0.0] + positive


def relative_position_index(grid: Grid) -> Tensor:
    """Row of the bias table for every pair of tokens, class token first: (1+N, 1+N) int64."""
    rows, cols = grid
    row, col = (x.flatten() for x in torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing='ij'))
    size = (2 * rows - 1) * (2 * cols - 1) + EXTRA_ROWS
    index = torch.empty(rows * cols + 1, rows * cols + 1, dtype=torch.int64)
    index[1:, 1:] = (row[:, None] - row + rows - 1) * (2 * cols - 1) + col[:, None] - col + cols - 1
    index[0, :], index[:, 0], index[0, 0] = size - 3, size - 2, size - 1
    return index
