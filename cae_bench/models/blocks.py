"""The encoder block shared by CAE, BEiT and MAE: pre-norm, optional layer scale, fused attention.

Parameter names are those of the released checkpoints (`attn.qkv.weight`, `attn.q_bias`, `mlp.fc1.weight`, ...).
"""

import torch
from torch import Tensor, nn

from .kernels.attention import attend
from .kernels.linear import Linear, linear, linear_of_gelu
from .whole_patches import check_whole


class PatchEmbed(nn.Module):
    """Image (B, C, H, W) to patch tokens (B, N, D) in raster order.

    Raises:
        ConfigError: H or W is no multiple of the patch; a strided convolution would drop the rest.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, embed_dims, patch_size, patch_size)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        grid = check_whole(x, self.patch_size)
        return self.proj(x).flatten(2).transpose(1, 2), grid


class DropPath(nn.Module):
    """x + gamma * branch, without the branch for some samples and scaled up for the others (arXiv 1603.09382)."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor, branch: Tensor, gamma: Tensor | None = None) -> Tensor:
        """x and branch (B, L, D), gamma (D,) or None for 1. One pass over the tokens, whichever factors there are."""
        if not self.training or self.rate == 0:
            return x + branch if gamma is None else torch.addcmul(x, branch, gamma)
        kept = x.new_empty(x.shape[0], 1, 1).bernoulli_(1 - self.rate) / (1 - self.rate)
        return torch.addcmul(x, branch, kept if gamma is None else gamma * kept)

    def extra_repr(self) -> str:
        return f'rate={self.rate:.4g}'


class Heads(nn.Module):
    """The linear layers around any attention: one fused projection to queries, keys and values, one of the result.

    Args:
        qkv_bias: 'qv' (CAE, BEiT: the key bias is fixed at zero), 'full' (MAE, DeiT) or 'none'.
    """

    def __init__(self, embed_dims: int, num_heads: int, qkv_bias: str):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(embed_dims, 3 * embed_dims, bias=qkv_bias == 'full')
        has_qv = qkv_bias == 'qv'
        self.q_bias = nn.Parameter(torch.zeros(embed_dims)) if has_qv else None
        self.v_bias = nn.Parameter(torch.zeros(embed_dims)) if has_qv else None
        self.proj = Linear(embed_dims, embed_dims)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) -> queries, keys, values (B, heads, L, D / heads)."""
        batch, length, _ = x.shape
        qkv = self.project(x).view(batch, length, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def merge(self, x: Tensor) -> Tensor:
        """(B, heads, L, D / heads) -> (B, L, D)."""
        return self.proj(x.transpose(1, 2).flatten(2))

    def project(self, x: Tensor) -> Tensor:
        return linear(x, self.qkv.weight, self.qkv_bias())

    def qkv_bias(self) -> Tensor | None:
        if self.q_bias is None or self.v_bias is None:
            return self.qkv.bias
        return torch.cat([self.q_bias, torch.zeros_like(self.v_bias, requires_grad=False), self.v_bias])


class Attention(Heads):
    """Multi-head self-attention.

    Args:
        table_rows: rows of this block's own relative position table, 0 for none. Starts at zero.
    """

    def __init__(self, embed_dims: int, num_heads: int, qkv_bias: str, table_rows: int = 0):
        super().__init__(embed_dims, num_heads, qkv_bias)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(table_rows, num_heads)) if table_rows else None

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x: (B, L, D); bias: (1, heads, L, L), added to the logits after scaling."""
        return self.merge(attend(*self.split(x), bias))


class Mlp(nn.Module):
    """Linear, exact (erf) GELU, linear."""

    def __init__(self, embed_dims: int, hidden: int):
        super().__init__()
        self.fc1 = Linear(embed_dims, hidden)
        self.fc2 = Linear(hidden, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        return linear_of_gelu(self.fc1(x), self.fc2.weight, self.fc2.bias)


class Block(nn.Module):
    """x + DropPath(gamma_1 * attn(LN x)), then the same with the MLP; without layer scale there is no gamma.

    Both branches share the drop rate and draw on their own.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: str = 'qv',
        layer_scale: float | None = None,
        drop_path: float = 0.0,
        norm_eps: float = 1e-6,
        table_rows: int = 0,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.attn = Attention(embed_dims, num_heads, qkv_bias, table_rows)
        self.norm2 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.mlp = Mlp(embed_dims, round(embed_dims * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        scaled = layer_scale is not None
        self.gamma_1 = nn.Parameter(torch.full((embed_dims,), float(layer_scale))) if scaled else None
        self.gamma_2 = nn.Parameter(torch.full((embed_dims,), float(layer_scale))) if scaled else None

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        x = self.drop_path(x, self.attn(self.norm1(x), bias), self.gamma_1)
        return self.drop_path(x, self.mlp(self.norm2(x)), self.gamma_2)


class SharedRelPosBias(nn.Module):
    """BEiT's one relative position table for all blocks, under its released name `rel_pos_bias.*`."""

    def __init__(self, table_rows: int, num_heads: int):
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.zeros(table_rows, num_heads))
