"""Initial values as published: Xavier (CAE, MAE) and BEiT's cut normal with rescaled residual branches."""

import math

import torch
from torch import nn

from ..models.initial_values import cut_normal, xavier

__all__ = ['beit', 'cut_normal', 'xavier']


@torch.no_grad()
def beit(module: nn.Module, *stacks: nn.ModuleList) -> None:
    """Every Linear from a normal of 0.02 cut at one sigma; the last matrices of block i divided by sqrt(2 (i + 1))."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            cut_normal(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LayerNorm):
            part.reset_parameters()
    for blocks in stacks:
        for i, block in enumerate(blocks):
            attention, mlp = (block.attn, block.mlp) if hasattr(block, 'attn') else (block.cross_attn, block.mlp_cross)
            for matrix in (attention.proj.weight, mlp.fc2.weight):
                matrix.div_(math.sqrt(2 * (i + 1)))
