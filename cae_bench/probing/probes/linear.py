"""Heads on frozen features, many of one shape side by side: what they share, and the linear probe.

A cell is one head of a grid (learning rate x weight decay ...). All cells of a probe start from the same weights, drawn
from the run's seed and the probe's name: a head trained alone and the same head in a grid are the same head.
"""

import itertools
import zlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ConfigError
from ...registry import MODELS
from ..feature_bank import FeatureBank


class Probe(nn.Module):
    """G cells on one frozen feature of one view.

    Args:
        feature: what it reads: 'cls', 'mean' (patch tokens), 'cls_mean' or 'tokens' (class token first).
        cells: hyper-parameters of each cell, in stacking order.
    """

    diverged: Tensor  # (G,) bool

    def __init__(self, num_classes: int, feature: str, cells: list[dict]):
        super().__init__()
        self.num_classes, self.feature, self.cells = num_classes, feature, cells
        self.register_buffer('diverged', torch.zeros(len(cells), dtype=torch.bool))

    def predict(self, x: Tensor) -> Tensor:
        """Scores (B, G, C) in evaluation."""
        raise NotImplementedError

    def evaluate(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores (B, G, C), and (B, G, D) where the reported score is made of whole groups of images, else None."""
        return self.predict(x), None


class LookUpProbe(Probe):
    """A probe that is not trained: it looks things up in the features of all training images."""

    def __init__(self, num_classes: int, feature: str, cells: list[dict]):
        super().__init__(num_classes, feature, cells)
        self.bank: FeatureBank | None = None

    @property
    def full_bank(self) -> FeatureBank:
        assert self.bank is not None, 'the model hands the bank over before anything is looked up'
        return self.bank

    def check(self, labels: list[int], classes: tuple[str, ...]) -> None:
        """Raises DataError where the training images cannot serve it; called before anything is computed."""

    def prepare(self) -> None:
        """Called once, when `bank` is there and full."""


class TrainedProbe(Probe):
    """A probe whose cells learn by gradient; its leading parameter axis is the cell."""

    def logits(self, x: Tensor, train: bool, track: bool = True) -> Tensor:
        """Scores (B, G, C). `train`: batch statistics; `track`: let them move the running statistics."""
        raise NotImplementedError

    def loss(self, x: Tensor, labels: Tensor, track: bool = True) -> Tensor:
        """Mean cross-entropy of each cell, (G,). A cell whose loss is not finite is marked as diverged."""
        scores = self.logits(x, train=True, track=track).float()
        rows = labels[:, None].expand(-1, scores.shape[1])
        losses = F.cross_entropy(scores.flatten(0, 1), rows.flatten(), reduction='none').view_as(rows).mean(0)
        self.diverged |= ~torch.isfinite(losses.detach())
        return losses

    def predict(self, x: Tensor) -> Tensor:
        return self.logits(x, train=False).float()


class FreeBatchNorm(nn.Module):
    """BatchNorm without affine part over the leading axis of (B, ...); unbiased variance into the average."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, *shape: int, eps: float, momentum: float = 0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.register_buffer('running_mean', torch.zeros(*shape))
        self.register_buffer('running_var', torch.ones(*shape))

    def forward(self, x: Tensor, train: bool, track: bool = True) -> Tensor:
        keep = track or not train
        mean, var = (self.running_mean.view(-1), self.running_var.view(-1)) if keep else (None, None)
        return F.batch_norm(x.flatten(1), mean, var, training=train, momentum=self.momentum, eps=self.eps).view_as(x)


def expand_grid(**axes) -> list[dict]:
    """Lists of values -> every combination, the first axis slowest; a bare value is a list of one."""
    axes = {k: list(v) if isinstance(v, (list, tuple)) else [v] for k, v in axes.items()}
    empty = [k for k, v in axes.items() if not v]
    if empty:
        raise ConfigError(f'the grid gives no value for {", ".join(empty)}: name at least one.')
    return [dict(zip(axes, values)) for values in itertools.product(*axes.values())]


def generator(name: str) -> torch.Generator:
    """Random numbers that belong to a name and the run's seed, whatever else was drawn before."""
    return torch.Generator().manual_seed((torch.initial_seed() + zlib.crc32(name.encode())) % 2**63)


def stack(cells: int, one: Tensor) -> nn.Parameter:
    """The same initial values for every cell, (G, ...)."""
    return nn.Parameter(one.expand(cells, *one.shape).clone())


def linear_logits(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (B, D) for all cells, weight (G, C, D), bias (G, C) -> (B, G, C): one matrix product for the whole grid."""
    return F.linear(x, weight.flatten(0, 1), bias.flatten()).view(len(x), *bias.shape)


@MODELS.register_module()
class LinearProbe(TrainedProbe):
    """BatchNorm without affine part, then a linear layer (MAE main_linprobe.py, CAE run_linear.py).

    All cells see the same feature, so they share one normalisation and its statistics.
    """

    def __init__(
        self,
        in_dims: int,
        num_classes: int,
        cells: list[dict],
        name: str = 'linear',
        feature: str = 'cls',
        bn_eps: float = 1e-6,
        init_std: float = 0.01,
        **unused,
    ):
        super().__init__(num_classes, feature, cells)
        one = nn.init.trunc_normal_(torch.empty(num_classes, in_dims), std=init_std, generator=generator(name))
        self.norm = FreeBatchNorm(in_dims, eps=bn_eps)
        self.weight = stack(len(cells), one)
        self.bias = stack(len(cells), torch.zeros(num_classes))

    def logits(self, x: Tensor, train: bool, track: bool = True) -> Tensor:
        return linear_logits(self.norm(x, train, track), self.weight, self.bias)
