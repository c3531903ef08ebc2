"""Linear layers that leave little behind for the backward pass; every block of the package has these.

Autocast keeps a half-precision copy of each weight until the backward pass has used it, and GELU's input and output
are both kept. On a CPU, where batches are small, that is more than half of what a step of a ViT-base holds beside its
parameters. Here weights are cast, and GELU computed, once more instead.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]  documented, not in its __all__


class Linear(nn.Linear):
    """nn.Linear, the same numbers."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x w' + b."""
    if not _is_lean(x):
        return F.linear(x, weight, bias)
    return _Linear.apply(x.bfloat16(), weight, bias)


def linear_of_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """GELU(x) w' + b, with the exact (erf) GELU."""
    if _is_lean(x):
        return _LinearOfGelu.apply(x.bfloat16(), weight, bias)
    if x.device.type == 'cpu' and torch.is_grad_enabled() and not is_tracing():
        return _LinearOfGelu.apply(x, weight, bias)
    return F.linear(F.gelu(x), weight, bias)


def _is_lean(x: Tensor) -> bool:
    """bfloat16 on a CPU. A GPU's memory is for activations, and it waits for Python: there autocast's way is better.

    A trace has no backward pass, and counters of operations do not look into a Function.
    """
    if is_tracing():
        return False
    half = torch.is_autocast_enabled('cpu') and torch.get_autocast_dtype('cpu') == torch.bfloat16
    return half and x.device.type == 'cpu'


class _Linear(Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  torch takes any number of gradients
        x, weight = ctx.saved_tensors
        return _to_input(ctx, grad, weight), *_to_parameters(ctx, grad, x)


class _LinearOfGelu(Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(F.gelu(x), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  torch takes any number of gradients
        x, weight = ctx.saved_tensors
        to_parameters = _to_parameters(ctx, grad, F.gelu(x))
        to_input = _to_input(ctx, grad, weight)
        return None if to_input is None else torch.ops.aten.gelu_backward(to_input, x), *to_parameters


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))


def _to_input(ctx, grad: Tensor, weight: Tensor) -> Tensor | None:
    return grad @ weight.to(grad.dtype) if ctx.needs_input_grad[0] else None


def _to_parameters(ctx, grad: Tensor, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of weight and bias; autograd casts them to the parameters' precision."""
    grad, x = grad.flatten(0, -2), x.flatten(0, -2)
    to_bias = grad.sum(0) if ctx.needs_input_grad[2] else None
    return grad.t() @ x if ctx.needs_input_grad[1] else None, to_bias
