"""CAE's latent contextual regressor: mask queries that read the visible latents, and each other (arXiv 2202.03026).

Parameter names are those of the released files, their spelling included (`regresser`).
"""

from typing import TypedDict

import torch
from torch import Tensor, nn

from ..models.blocks import DropPath, Mlp
from ..models.kernels.attention import attend
from ..models.kernels.linear import Linear, linear


class BlockSettings(TypedDict):
    """What regressor and decoder have in common."""

    num_heads: int
    mlp_ratio: float
    layer_scale: float  # initial value; 0 for none
    drop_path_rate: float  # of the last block, rising linearly from 0
    norm_eps: float


class CrossAttention(nn.Module):
    """Multi-head attention of queries to other tokens; q and v have biases, k has none."""

    def __init__(self, embed_dims: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.q = Linear(embed_dims, embed_dims, bias=False)
        self.k = Linear(embed_dims, embed_dims, bias=False)
        self.v = Linear(embed_dims, embed_dims, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(embed_dims))
        self.v_bias = nn.Parameter(torch.zeros(embed_dims))
        self.proj = Linear(embed_dims, embed_dims)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, M, D), (B, L, D), (B, L, D) -> (B, M, D)."""
        q = linear(query, self.q.weight, self.q_bias)
        k = linear(key, self.k.weight)
        v = linear(value, self.v.weight, self.v_bias)
        q, k, v = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        x = attend(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))


class RegressorBlock(nn.Module):
    """Cross-attention from mask queries to visible latents and the queries themselves, then an MLP.

    The first residual starts from the queries as they are, without positions; the second starts from the normalised
    tensor. Positions are added to queries and keys, never to values.
    """

    def __init__(
        self, embed_dims: int, num_heads: int, mlp_ratio: float, layer_scale: float, drop_path: float, norm_eps: float
    ):
        super().__init__()
        self.norm1_q, self.norm1_k, self.norm1_v, self.norm2_cross = (
            nn.LayerNorm(embed_dims, eps=norm_eps) for _ in range(4)
        )
        self.cross_attn = CrossAttention(embed_dims, num_heads)
        self.mlp_cross = Mlp(embed_dims, round(embed_dims * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        trained = layer_scale > 0  # without layer scale the file still holds it, as ones
        for name in ('gamma_1_cross', 'gamma_2_cross'):
            start = torch.full((embed_dims,), layer_scale if trained else 1.0)
            self.register_parameter(name, nn.Parameter(start, requires_grad=trained))

    def forward(self, x: Tensor, visible: Tensor, pos_x: Tensor, pos_all: Tensor) -> Tensor:
        """x: queries (B, M, D); visible: (B, V, D), never updated; positions of queries, of visible + queries."""
        everything = torch.cat([visible, x], 1)
        attended = self.cross_attn(
            self.norm1_q(x + pos_x), self.norm1_k(everything + pos_all), self.norm1_v(everything)
        )
        x = self.norm2_cross(self.drop_path(x, attended, self.gamma_1_cross))
        return self.drop_path(x, self.mlp_cross(x), self.gamma_2_cross)


class Regressor(nn.Module):
    """`depth` blocks; drop path rises linearly to `drop_path_rate` over them.

    use_norm: CAE normalises what it predicts; CAE v2 keeps the norm in its files without using it.
    """

    def __init__(
        self,
        embed_dims: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        layer_scale: float,
        drop_path_rate: float,
        norm_eps: float,
        use_norm: bool = True,
    ):
        super().__init__()
        rates = torch.linspace(0, drop_path_rate, depth, dtype=torch.float64, device='cpu').tolist()
        self.regressor_blocks = nn.ModuleList(
            RegressorBlock(embed_dims, num_heads, mlp_ratio, layer_scale, rate, norm_eps) for rate in rates
        )
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps).requires_grad_(use_norm)
        self.use_norm, self.layer_scale = use_norm, layer_scale

    def forward(self, x: Tensor, visible: Tensor, pos_masked: Tensor, pos_visible: Tensor) -> Tensor:
        """Queries (B, M, D) and visible latents (B, V, D) without class token -> predicted latents (B, M, D)."""
        pos_all = torch.cat([pos_visible, pos_masked], 1)
        for block in self.regressor_blocks:
            x = block(x, visible, pos_masked, pos_all)
        return self.norm(x) if self.use_norm else x

    @torch.no_grad()
    def reset_scales(self) -> None:
        """Zero biases and the starting layer scale; matrices are drawn by the model around it."""
        for name, tensor in self.named_parameters():
            if name.endswith(('q_bias', 'v_bias')):
                tensor.zero_()
            elif '.gamma_' in name:
                tensor.fill_(self.layer_scale if self.layer_scale > 0 else 1.0)
