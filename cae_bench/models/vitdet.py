"""ViTDet's backbone and pyramid (arXiv 2203.16527): attention in windows, decomposed relative positions.

Source: detectron2 `modeling/backbone/vit.py` and `utils.py`, `configs/common/models/mask_rcnn_vitdet.py`. The weights
are those of any encoder that cae_bench.ViT takes; only the relative tables are new, and start at zero.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from ..registry import MODELS
from . import positions
from .blocks import Block, Heads
from .vit import ViT
from .vit_settings import resolve_indices


@MODELS.register_module()
class WindowedViT(ViT):
    """cae_bench.ViT for large images: most blocks attend within windows, a few over the whole image.

    The class token takes no part: it is loaded, and frozen. Absolute positions are resized to every input grid.

    Args:
        window_size: side of a window in patches; the last ones are padded with zeros after the norm.
        global_blocks: blocks without windows, evenly spread (base: 2, 5, 8, 11).
        table_size: side in pixels of the training images, for which the global blocks' tables are made; other grids
            interpolate them linearly.
        **settings: of cae_bench.ViT.
    """

    def __init__(
        self,
        window_size: int = 14,
        global_blocks: Sequence[int | float] = (0.25, 0.5, 0.75, 1.0),
        table_size: int = 1024,
        **settings,
    ):
        self.window_size, self.global_blocks, self.table_size = window_size, global_blocks, table_size
        super().__init__(**settings)

    def _build(self, drop_path_rate: float) -> None:
        if self.spec.rel_pos_bias != 'none':
            raise ConfigError(
                f'WindowedViT has relative positions of its own; this backbone comes with rel_pos_bias='
                f"'{self.spec.rel_pos_bias}' (BEiT), which ViTDet does not define. Use mask_rcnn instead"
            )
        super()._build(drop_path_rate)
        self.global_blocks = resolve_indices(self.global_blocks, self.num_layers)
        for i, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            window = 0 if i in self.global_blocks else self.window_size
            side = window or self.table_size // self.patch_size
            attn = WindowAttention(self.embed_dims, self.num_heads, self.spec.qkv_bias, window, side)
            self.blocks[i] = WindowBlock(block, attn)
        if self.cls_token is not None:
            self.cls_token.requires_grad_(False)

    def starts_anew(self) -> dict[str, str]:
        return {
            name: 'relative positions of ViTDet, zero at the start'
            for name, _ in self.named_parameters()
            if name.endswith(('rel_pos_h', 'rel_pos_w'))
        }

    def embed(self, x: Tensor) -> tuple[Tensor, positions.Grid]:
        tokens, grid = self.patch_embed(x)
        if self.pos_embed is not None:
            table = positions.RUNTIME_RULES[self.runtime_pos_resize](self.pos_embed, self.grid, grid)
            tokens = tokens + table[:, int(self.spec.cls_token) :]
        return tokens, grid

    def _run_block(self, block: nn.Module, tokens: Tensor, grid: positions.Grid, shared: Tensor | None) -> Tensor:
        return block(tokens, grid)

    def _as_map(self, tokens: Tensor, grid: positions.Grid) -> Tensor:
        return tokens.transpose(1, 2).unflatten(2, grid).contiguous()

    def _with_first_token(self, tokens: Tensor) -> Tensor:
        return torch.cat([tokens.mean(1, keepdim=True), tokens], 1)


class WindowBlock(nn.Module):
    """A block of the encoder that attends within windows of the grid, under the encoder's own names."""

    def __init__(self, block: Block, attn: 'WindowAttention'):
        super().__init__()
        self.norm1, self.attn = block.norm1, attn
        self.norm2, self.mlp, self.drop_path = block.norm2, block.mlp, block.drop_path
        self.gamma_1, self.gamma_2 = block.gamma_1, block.gamma_2

    def forward(self, x: Tensor, grid: positions.Grid) -> Tensor:
        """x: (B, rows * columns, D) in raster order."""
        x = self.drop_path(x, self.attn(self.norm1(x), grid), self.gamma_1)
        return self.drop_path(x, self.mlp(self.norm2(x)), self.gamma_2)


class WindowAttention(Heads):
    """Attention over a grid of patches or its windows, with one relative table for rows and one for columns.

    A query q adds q . R_h[row(q) - row(k)] + q . R_w[column(q) - column(k)] to its logits, q unscaled. That is a dot
    product too, so both terms ride along as further channels of q and k, and no map of all pairs is ever stored.
    """

    def __init__(self, embed_dims: int, num_heads: int, qkv_bias: str, window: int, table_side: int):
        super().__init__(embed_dims, num_heads, qkv_bias)
        self.window = window
        head_dim = embed_dims // num_heads
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * table_side - 1, head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * table_side - 1, head_dim))

    def forward(self, x: Tensor, grid: positions.Grid) -> Tensor:
        """x: (B, rows * columns, D) in raster order."""
        if not self.window:
            return self._attend(x, grid)
        windows = to_windows(x, grid, self.window)
        return from_windows(self._attend(windows, (self.window, self.window)), grid, self.window)

    def _attend(self, x: Tensor, grid: positions.Grid) -> Tensor:
        q, k, v = self.split(x)  # (B, heads, L, d)
        rows, cols = axis_table(self.rel_pos_h, grid[0]), axis_table(self.rel_pos_w, grid[1])
        by_axis = q.unflatten(2, grid)
        rel_h = torch.einsum('bnhwc,hkc->bnhwk', by_axis, rows.to(q.dtype)).flatten(2, 3)  # (B, heads, L, rows)
        rel_w = torch.einsum('bnhwc,wkc->bnhwk', by_axis, cols.to(q.dtype)).flatten(2, 3)
        place = one_hot_places(grid, q.device, q.dtype).expand(*q.shape[:2], -1, -1)
        q = torch.cat([q * q.shape[-1] ** -0.5, rel_h, rel_w], -1)
        k = torch.cat([k, place], -1)
        spare = -q.shape[-1] % 8  # fused kernels ask for a multiple of 8 channels
        q, k = F.pad(q, (0, spare)), F.pad(k, (0, spare))
        return self.merge(F.scaled_dot_product_attention(q, k, v, scale=1.0))


def axis_table(table: Tensor, size: int) -> Tensor:
    """(2 s - 1, d) -> (size, size, d): entry [query, key], interpolated linearly where s is not `size`."""
    if len(table) != 2 * size - 1:
        table = F.interpolate(table.t()[None], size=2 * size - 1, mode='linear')[0].t()
    at = torch.arange(size, device=table.device)
    return table[at[:, None] - at[None] + size - 1]


def one_hot_places(grid: positions.Grid, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(rows * columns, rows + columns): the row and the column of every patch."""
    rows = torch.eye(grid[0], device=device, dtype=dtype).repeat_interleave(grid[1], 0)
    cols = torch.eye(grid[1], device=device, dtype=dtype).repeat(grid[0], 1)
    return torch.cat([rows, cols], 1)


def to_windows(x: Tensor, grid: positions.Grid, side: int) -> Tensor:
    """(B, rows * columns, D) -> (B * windows, side * side, D); what is missing below and to the right is zero."""
    x = x.unflatten(1, grid)
    x = F.pad(x, (0, 0, 0, -grid[1] % side, 0, -grid[0] % side))
    batch, rows, cols, dims = x.shape
    x = x.view(batch, rows // side, side, cols // side, side, dims)
    return x.transpose(2, 3).reshape(-1, side * side, dims)


def from_windows(x: Tensor, grid: positions.Grid, side: int) -> Tensor:
    """Inverse of `to_windows`; the padding is cut off."""
    down, across = -(-grid[0] // side), -(-grid[1] // side)
    x = x.view(-1, down, across, side, side, x.shape[-1]).transpose(2, 3)
    x = x.reshape(len(x), down * side, across * side, -1)
    return x[:, : grid[0], : grid[1]].flatten(1, 2)
