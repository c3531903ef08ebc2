"""LARS as in MoCo v3 and MAE's linear probing (arXiv 1708.03888), for one tensor or for a stack of them."""

import torch
from torch import Tensor

from ..registry import OPTIMIZERS
from .optimizers import StackedOptimizer


@OPTIMIZERS.register_module()
class LARS(StackedOptimizer):
    """Momentum SGD whose update of a matrix is scaled by trust_coefficient * |p| / |g + wd * p|.

    Tensors of at most one dimension get neither weight decay nor scaling; a zero norm gives ratio 1. The momentum
    buffer holds updates without the learning rate. In a stack every entry of the leading axis is a tensor of its own.

    Args:
        lr: a float, or a tensor (G,) for parameters stacked along a leading axis of G.
        weight_decay: as `lr`.
    """

    def __init__(self, params, lr=0.0, weight_decay=0.0, momentum: float = 0.9, trust_coefficient: float = 0.001):
        super().__init__(
            params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, trust_coefficient=trust_coefficient)
        )

    def update(self, p: Tensor, group: dict, state: dict) -> Tensor:
        grad = self.gradient(p)
        if self.own_ndim(p, group) > 1:
            grad = grad + self.spread(group['weight_decay'], p) * p
            grad = grad * self._trust(p, grad, group)
        buffer = state.setdefault('momentum_buffer', torch.zeros_like(p))
        return buffer.mul_(group['momentum']).add_(grad)

    def _trust(self, p: Tensor, update: Tensor, group: dict) -> Tensor:
        axes = tuple(range(p.ndim - self.own_ndim(p, group), p.ndim))
        p_norm = torch.linalg.vector_norm(p, dim=axes, keepdim=True)
        u_norm = torch.linalg.vector_norm(update, dim=axes, keepdim=True)
        ratio = group['trust_coefficient'] * p_norm / u_norm
        return torch.where((p_norm > 0) & (u_norm > 0), ratio, torch.ones_like(ratio))
