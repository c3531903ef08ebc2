"""Initial values as published: Xavier (CAE, MAE) and BEiT's cut normal with rescaled residual branches."""

import math

import torch
from torch import Tensor, nn

from ..models.blocks import Block
from ..models.initial_values import cut_normal, xavier
from .regressor import RegressorBlock

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
            for matrix in last_matrices(block):
                matrix.div_(math.sqrt(2 * (i + 1)))


def last_matrices(block: nn.Module) -> tuple[Tensor, Tensor]:
    """The weights with which the two branches of a block end."""
    if isinstance(block, RegressorBlock):
        return block.cross_attn.proj.weight, block.mlp_cross.fc2.weight
    assert isinstance(block, Block)  # there is no third kind
    return block.attn.proj.weight, block.mlp.fc2.weight
