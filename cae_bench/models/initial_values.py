"""Initial values as CAE publishes them: Xavier-uniform linears, and a normal cut at one sigma for tokens and patches."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def xavier(module: nn.Module) -> None:
    """Every Linear Xavier-uniform (a fused qkv as one 3D x D matrix) with zero bias, every LayerNorm fresh."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LayerNorm):
            part.reset_parameters()


def cut_normal(tensor: Tensor, std: float = 0.02) -> None:
    """Normal of `std` cut at one sigma, as BEiT and CAE draw tokens and patch embeddings."""
    nn.init.trunc_normal_(tensor, std=std, a=-std, b=std)
