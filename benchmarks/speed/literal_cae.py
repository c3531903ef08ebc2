"""CAE's pretraining forward, written word for word as it is published: the peer of benchmarks/speed/pretrain.py.

A separate alignment encoder, boolean indexing, attention in eager steps, all under autocast. The parameters have the
released names, so both models can be given the same weights and must give the same losses.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Mlp(nn.Module):
    def __init__(self, dims: int):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(dims, 4 * dims), nn.GELU(), nn.Linear(4 * dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    if rate == 0.0 or not training:
        return x
    keep = 1 - rate
    random = (keep + torch.rand((x.shape[0], 1, 1), dtype=x.dtype, device=x.device)).floor_()
    return x.div(keep) * random


class Attention(nn.Module):
    def __init__(self, dims: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (dims // heads) ** -0.5
        self.qkv = nn.Linear(dims, 3 * dims, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(dims)), nn.Parameter(torch.zeros(dims))
        self.proj = nn.Linear(dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias, requires_grad=False), self.v_bias))
        qkv = F.linear(x, self.qkv.weight, bias).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        attention = ((q * self.scale) @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(b, n, -1))


class Block(nn.Module):
    def __init__(self, dims: int, heads: int, rate: float):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dims, eps=1e-6), nn.LayerNorm(dims, eps=1e-6)
        self.attn, self.mlp, self.rate = Attention(dims, heads), Mlp(dims), rate
        self.gamma_1, self.gamma_2 = nn.Parameter(0.1 * torch.ones(dims)), nn.Parameter(0.1 * torch.ones(dims))

    def forward(self, x: Tensor) -> Tensor:
        x = x + drop_path(self.gamma_1 * self.attn(self.norm1(x)), self.rate, self.training)
        return x + drop_path(self.gamma_2 * self.mlp(self.norm2(x)), self.rate, self.training)


class PatchEmbed(nn.Module):
    def __init__(self, dims: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(3, dims, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Encoder(nn.Module):
    def __init__(self, dims: int, depth: int, heads: int, patch: int, patches: int, rate: float):
        super().__init__()
        self.patch_embed = PatchEmbed(dims, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, patches + 1, dims), requires_grad=False)
        self.blocks = nn.ModuleList(Block(dims, heads, r.item()) for r in torch.linspace(0, rate, depth))
        self.norm = nn.LayerNorm(dims, eps=1e-6)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.patch_embed(x)
        b, _, dims = x.shape
        x = torch.cat((self.cls_token.expand(b, -1, -1), x[~mask].reshape(b, -1, dims)), dim=1)
        pos = self.pos_embed.expand(b, -1, dims)
        x = x + torch.cat((pos[:, :1], pos[:, 1:][~mask].reshape(b, -1, dims)), dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class CrossAttention(nn.Module):
    def __init__(self, dims: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (dims // heads) ** -0.5
        self.q, self.k, self.v = (nn.Linear(dims, dims, bias=False) for _ in range(3))
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(dims)), nn.Parameter(torch.zeros(dims))
        self.proj = nn.Linear(dims, dims)

    def forward(self, x: Tensor, key: Tensor, value: Tensor) -> Tensor:
        b, n, _ = x.shape
        zero = torch.zeros_like(self.v_bias, requires_grad=False)
        q, k, v = (
            F.linear(t, layer.weight, bias).reshape(b, t.shape[1], 1, self.heads, -1).permute(2, 0, 3, 1, 4)[0]
            for t, layer, bias in ((x, self.q, self.q_bias), (key, self.k, zero), (value, self.v, self.v_bias))
        )
        attention = ((q * self.scale) @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(b, n, -1))


class RegressorBlock(nn.Module):
    def __init__(self, dims: int, heads: int, rate: float):
        super().__init__()
        self.norm1_q, self.norm1_k, self.norm1_v, self.norm2_cross = (nn.LayerNorm(dims, eps=1e-6) for _ in range(4))
        self.cross_attn, self.mlp_cross, self.rate = CrossAttention(dims, heads), Mlp(dims), rate
        self.gamma_1_cross, self.gamma_2_cross = (nn.Parameter(0.1 * torch.ones(dims)) for _ in range(2))

    def forward(self, q: Tensor, kv: Tensor, pos_q: Tensor, pos_kv: Tensor) -> Tensor:
        attended = self.cross_attn(self.norm1_q(q + pos_q), self.norm1_k(kv + pos_kv), self.norm1_v(kv))
        x = self.norm2_cross(q + drop_path(self.gamma_1_cross * attended, self.rate, self.training))
        return x + drop_path(self.gamma_2_cross * self.mlp_cross(x), self.rate, self.training)


class Regressor(nn.Module):
    def __init__(self, dims: int, depth: int, heads: int, rate: float):
        super().__init__()
        self.regressor_blocks = nn.ModuleList(
            RegressorBlock(dims, heads, r.item()) for r in torch.linspace(0, rate, depth)
        )
        self.norm = nn.LayerNorm(dims, eps=1e-6)

    def forward(self, x: Tensor, visible: Tensor, pos_masked: Tensor, pos_visible: Tensor) -> Tensor:
        for block in self.regressor_blocks:
            x = block(x, torch.cat([visible, x], dim=1), pos_masked, torch.cat([pos_visible, pos_masked], dim=1))
        return self.norm(x)


class Decoder(nn.Module):
    def __init__(self, dims: int, depth: int, heads: int, rate: float, vocab: int):
        super().__init__()
        self.decoder_blocks = nn.ModuleList(Block(dims, heads, r.item()) for r in torch.linspace(0, rate, depth))
        self.norm, self.head = nn.LayerNorm(dims, eps=1e-6), nn.Linear(dims, vocab)

    def forward(self, x: Tensor, pos: Tensor) -> Tensor:
        x = x + pos
        for block in self.decoder_blocks:
            x = block(x)
        return self.head(self.norm(x))


class LiteralCAE(nn.Module):
    """Encoder and regressor of one width, as in CAE-base."""

    def __init__(
        self, dims: int, depth: int, heads: int, patch: int, image: int, parts_depth: int, vocab: int, rate: float = 0.1
    ):
        super().__init__()
        patches = (image // patch) ** 2
        self.rd_pos_embed = nn.Parameter(torch.zeros(1, patches + 1, dims), requires_grad=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.encoder = Encoder(dims, depth, heads, patch, patches, rate)
        self.alignment_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.regresser = Regressor(dims, parts_depth, heads, rate)
        self.decoder = Decoder(dims, parts_depth, heads, rate, vocab)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        b = len(x)
        visible = self.encoder(x, mask)[:, 1:]
        dims = visible.shape[2]
        with torch.no_grad():
            target = self.alignment_encoder(x, ~mask)[:, 1:].detach()
            for mine, theirs in zip(self.alignment_encoder.parameters(), self.encoder.parameters()):
                mine.data = mine.data * 0.0 + theirs.detach().data
        pos = self.rd_pos_embed.expand(b, -1, -1)[:, 1:]
        pos_masked, pos_visible = pos[mask].reshape(b, -1, dims), pos[~mask].reshape(b, -1, dims)
        queries = self.mask_token.expand(b, pos_masked.shape[1], -1)
        latent = self.regresser(queries, visible, pos_masked, pos_visible)
        return self.decoder(latent, pos_masked).reshape(-1, self.decoder.head.out_features), latent, target

    def loss(self, x: Tensor, mask: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        logits, latent, target = self(x, mask)
        return F.cross_entropy(logits.float(), ids[mask]), 2 * F.mse_loss(latent.float(), target.float())
