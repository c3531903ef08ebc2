"""ViTSpec from tensors: widths, depth, grid, kind of positions. Nothing is read from a file name."""

import re
from collections import Counter

import torch
from torch import Tensor

from ..errors import CheckpointError
from ._conversion import Conversion, StateDict
from .resize import EXTRA_ROWS, Grid
from .spec import ViTSpec

SHARED = 'rel_pos_bias.relative_position_bias_table'


def infer_spec(done: Conversion, num_heads: int | None) -> ViTSpec:
    """The spec of a converted state dict; CheckpointError where the tensors contradict or do not tell."""
    sd = done.state_dict
    width, depth = size_of(sd)
    patch = sd.get('patch_embed.proj.weight')
    if patch is None or patch.dim() != 4 or patch.shape[2] != patch.shape[3]:
        raise CheckpointError('missing or of wrong shape: patch_embed.proj.weight, (width, channels, p, p).')
    tables = rel_tables(sd)
    grid = _grid(done, sd.get('pos_embed'), tables)
    kind = done.pos_embed if done.pos_embed != 'values' else _kind_of_values(done, grid)
    fc1 = Counter(v.shape[0] for k, v in sd.items() if k.endswith('.mlp.fc1.weight') and v.dim() == 2)
    return ViTSpec(
        family=done.family,
        embed_dims=width,
        num_layers=depth,
        num_heads=_heads(done, width, depth, tables, num_heads),
        patch_size=patch.shape[2],
        img_size=(grid[0] * patch.shape[2], grid[1] * patch.shape[2]),
        in_channels=patch.shape[1],
        mlp_ratio=fc1.most_common(1)[0][0] / width if fc1 else 4.0,
        qkv_bias='qv' if _any(sd, 'attn.q_bias', 'attn.v_bias') else 'full' if _any(sd, 'attn.qkv.bias') else 'none',
        pos_embed=kind,
        rel_pos_bias='none' if not tables else 'shared' if SHARED in tables else 'block',
        layer_scale=_any(sd, '.gamma_1', '.gamma_2'),
        cls_token='cls_token' in sd or not done.absent.get('cls_token'),
        final_norm=_any(sd, 'norm.weight', 'norm.bias', whole=True) or not done.absent.get('norm.weight'),
        **done.pixels,
    )


def size_of(sd: StateDict) -> tuple[int, int]:
    """(width, number of blocks)."""
    found = (re.match(r'blocks\.(\d+)\.', key) for key in sd)
    blocks = {match.group(1) for match in found if match}
    widths = Counter(v.shape[0] for k, v in sd.items() if re.search(r'\.norm[12]\.(weight|bias)$', k) and v.dim() == 1)
    if not blocks or not widths:
        raise CheckpointError('no transformer blocks (blocks.0.norm1.weight, ...) among its tensors.')
    absent = next((i for i in range(len(blocks)) if str(i) not in blocks), None)
    if absent is not None:  # a depth is never larger than the number of tensors
        last = max(blocks, key=lambda number: (len(number), number))
        raise CheckpointError(
            f'block {absent} is missing: it has {len(blocks)} blocks, numbered up to {last[:30]}. The file '
            'is incomplete.'
        )
    return widths.most_common(1)[0][0], len(blocks)


def rel_tables(sd: StateDict) -> dict[str, Tensor]:
    return {k: v for k, v in sd.items() if k.endswith('relative_position_bias_table') and v.dim() == 2}


def _any(sd: StateDict, *names: str, whole: bool = False) -> bool:
    return any(key in names if whole else key.endswith(names) for key in sd)


# ---- heads ----------------------------------------------------------------------------------------------------


def _heads(done: Conversion, width: int, depth: int, tables: dict[str, Tensor], num_heads: int | None) -> int:
    if num_heads is not None and (num_heads < 1 or width % num_heads):
        raise CheckpointError(
            f'{num_heads} heads do not divide the width {width} (said by --num-heads, or by the entry `spec` '
            f'of the file); {_sensible(width)}.'
        )
    columns = Counter(t.shape[1] for t in tables.values())
    if columns:
        heads = columns.most_common(1)[0][0]
        if num_heads not in (None, heads):
            raise CheckpointError(
                f'asked for {num_heads} heads, but its relative position tables have {heads}: leave the number out.'
            )
        return heads
    heads = num_heads or done.heads.get((width, depth))
    if heads is None:
        raise CheckpointError(
            f'width {width}, depth {depth}: the tensors do not tell the number of heads and this '
            f'size has no published one. Pass --num-heads N (Python: num_heads=N); '
            f'{_sensible(width)}.'
        )
    return heads


def _sensible(width: int) -> str:
    counts = [n for n in range(1, width + 1) if width % n == 0 and 8 <= width // n <= 128]
    return f'for {width} that is one of ' + ', '.join(f'{n} (head width {width // n})' for n in counts)


# ---- grid and kind of positions -------------------------------------------------------------------------------


def _grid(done: Conversion, pos_embed: Tensor | None, tables: dict[str, Tensor]) -> Grid:
    if pos_embed is not None:
        if pos_embed.dim() != 3:
            raise CheckpointError(f'pos_embed has shape {tuple(pos_embed.shape)}, not (1, 1+N, width).')
        extra = 0 if done.absent.get('cls_token') else 1
        return grid_of_pos(pos_embed[0, extra:], done.notes)
    if done.pos_embed != 'none':
        raise CheckpointError('1 tensor is missing: pos_embed.')
    if not tables:
        raise CheckpointError('it has no positions: neither pos_embed nor a relative_position_bias_table.')
    return _grid_of_table(Counter(t.shape[0] for t in tables.values()).most_common(1)[0][0])


def _square(n: int) -> int | None:
    side = round(n**0.5)
    return side if side * side == n else None


def grid_of_pos(patches: Tensor, notes: list[str]) -> Grid:
    """(rows, columns) of a table (N, D): the square, else the shape in which neighbours differ least."""
    n = len(patches)
    if side := _square(n):
        return side, side
    shapes = [(h, n // h) for h in range(2, n // 2 + 1) if n % h == 0 and max(h, n // h) <= 4 * min(h, n // h)]
    if not shapes:
        raise CheckpointError(f'pos_embed has {n} patch positions, which is no grid with a class token before it.')
    rough = {shape: _roughness(patches.reshape(*shape, -1).float()) for shape in shapes}
    best = min(rough, key=lambda shape: rough[shape])
    if any(rough[s] < 1.2 * rough[best] for s in shapes if s != best):
        raise CheckpointError(
            f'pos_embed has {n} patch positions: no square, and its values do not tell which of {shapes}.'
        )
    notes.append(f'grid {best[0]}x{best[1]} told by the values of pos_embed')
    return best


def _roughness(table: Tensor) -> float:
    return sum(table.diff(dim=d).square().mean().item() for d in (0, 1))


def _grid_of_table(rows: int) -> Grid:
    window = _square(rows - EXTRA_ROWS)
    if window is None or window % 2 == 0:
        raise CheckpointError(
            f'relative_position_bias_table has {rows} rows: no (2n-1)^2 + 3 of a square grid, the '
            'only one that can be read without pos_embed.'
        )
    return (window + 1) // 2, (window + 1) // 2


def _kind_of_values(done: Conversion, grid: Grid) -> str:
    kind = kind_of_pos(done.state_dict['pos_embed'], grid)
    done.notes.append(f'pos_embed {kind}: told by its values')
    return kind


def kind_of_pos(pos_embed: Tensor, grid: Grid) -> str:
    """'sincos_row', 'sincos_col' or 'learned', by what half of the channels stays constant along a row or a column.

    Holds for resized tables and for those that fine-tuning has moved a little, which no longer equal the formula.
    """
    patches = pos_embed[0, pos_embed.shape[1] - grid[0] * grid[1] :].float().reshape(*grid, -1)
    first, second = patches.chunk(2, dim=-1)
    if min(grid) < 2 or not torch.isfinite(patches).all():
        return 'learned'
    along_rows, along_cols = _moving(first, 1) + _moving(second, 0), _moving(first, 0) + _moving(second, 1)
    if min(along_rows, along_cols) > 0.2:  # 1.7 or so for learned tables
        return 'learned'
    return 'sincos_row' if along_rows < along_cols else 'sincos_col'


def looks_like(sd: StateDict, kind: str) -> bool:
    """Whether a plain state dict's pos_embed, class row first, is a table of this kind."""
    pos_embed = sd.get('pos_embed')
    if pos_embed is None or pos_embed.dim() != 3:
        return False
    try:
        return kind_of_pos(pos_embed, grid_of_pos(pos_embed[0, 1:], [])) == kind
    except CheckpointError:  # no grid at all
        return False


def _moving(half: Tensor, dim: int) -> float:
    """Share of the variance that lies along one axis of the grid."""
    total = half.flatten(0, 1).var(0, unbiased=False).mean().item()
    return half.var(dim, unbiased=False).mean().item() / total if total > 0 else 1.0
