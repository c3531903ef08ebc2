"""Optimizers for stacks of heads: one leading axis, a learning rate and weight decay for each entry of it."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..registry import OPTIMIZERS


class StackedOptimizer(Optimizer):
    """p -= lr * update. `lr` and `weight_decay` are floats, or tensors (G,) that belong to a leading axis of size G."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  no closures here
        for group in self.param_groups:
            for p in group['params']:
                if p.grad is not None:
                    p.sub_(self.spread(group['lr'], p) * self.update(p, group, self.state[p]))

    def update(self, p: Tensor, group: dict, state: dict) -> Tensor:
        """The step to be multiplied by the learning rate; keeps what it must remember in `state`."""
        raise NotImplementedError

    @staticmethod
    def gradient(p: Tensor) -> Tensor:
        assert p.grad is not None, 'step() leaves out what has no gradient'
        return p.grad

    @staticmethod
    def spread(value: float | Tensor, p: Tensor) -> float | Tensor:
        """A value for each entry of the stack, shaped to broadcast over it."""
        if not (isinstance(value, Tensor) and value.ndim):
            return value
        return value.to(p.device, p.dtype).view(-1, *[1] * (p.ndim - 1))

    @staticmethod
    def own_ndim(p: Tensor, group: dict) -> int:
        """Dimensions of one entry: the stacking axis is not its own."""
        stacked = isinstance(group['lr'], Tensor) and group['lr'].ndim > 0
        return p.ndim - stacked


@OPTIMIZERS.register_module()
class StackedSGD(StackedOptimizer):
    """torch's SGD with momentum, Nesterov by choice, for a stack; a single head gives torch's own numbers."""

    def __init__(self, params, lr=0.0, weight_decay=0.0, momentum: float = 0.9, nesterov: bool = False):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov))

    def update(self, p: Tensor, group: dict, state: dict) -> Tensor:
        grad = self.gradient(p) + self.spread(group['weight_decay'], p) * p
        buffer = state.setdefault('momentum_buffer', torch.zeros_like(p))
        buffer.mul_(group['momentum']).add_(grad)
        return grad + group['momentum'] * buffer if group['nesterov'] else buffer


@OPTIMIZERS.register_module()
class StackedAdamW(StackedOptimizer):
    """torch's AdamW (decoupled weight decay) for a stack."""

    def __init__(self, params, lr=0.0, weight_decay=0.01, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, betas=tuple(betas), eps=eps))

    def update(self, p: Tensor, group: dict, state: dict) -> Tensor:
        (b1, b2), step = group['betas'], state.get('step', 0) + 1
        state['step'] = step
        grad = self.gradient(p)
        first = state.setdefault('exp_avg', torch.zeros_like(p)).lerp_(grad, 1 - b1)
        second = state.setdefault('exp_avg_sq', torch.zeros_like(p)).mul_(b2).addcmul_(grad, grad, value=1 - b2)
        adam = (first / (1 - b1**step)) / ((second / (1 - b2**step)).sqrt() + group['eps'])
        return adam + self.spread(group['weight_decay'], p) * p
