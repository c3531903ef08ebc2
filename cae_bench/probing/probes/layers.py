"""A linear head on every layer: where the information sits (BEiT, microsoft/unilm beit/run_linear_eval.py)."""

import torch
from torch import Tensor

from ...registry import MODELS
from .linear import TrainedProbe, generator, stack


@MODELS.register_module()
class LayerProbe(TrainedProbe):
    """A linear layer, nothing before it, on [class token; mean patch token] of the raw output of one block.

    `layer` is an axis of its grid, 1 for the first block; 'all' there becomes every block.
    """

    block: Tensor  # (G,), position of each cell's layer

    def __init__(
        self,
        in_dims: int,
        num_classes: int,
        cells: list[dict],
        name: str = 'linear_multilayer',
        feature: str = 'layers',
        init_std: float = 0.01,
        **unused,
    ):
        super().__init__(num_classes, feature, cells)
        one = torch.empty(num_classes, in_dims).normal_(0, init_std, generator=generator(name))
        self.weight = stack(len(cells), one)
        self.bias = stack(len(cells), torch.zeros(num_classes))
        self.register_buffer('block', torch.tensor([cell['layer'] - 1 for cell in cells]), persistent=False)

    def logits(self, x: Tensor, train: bool, track: bool = True) -> Tensor:
        """x: (B, L, 2 D), all layers."""
        return torch.einsum('bgd,gcd->bgc', x[:, self.block], self.weight) + self.bias
