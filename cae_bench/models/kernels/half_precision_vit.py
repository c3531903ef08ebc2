"""A frozen backbone in half precision: what never changes is made ready once, not at every call.

Autocast casts each weight whenever it is used, and oneDNN lays it out anew. Here weights are cast once and, on a CPU,
kept in oneDNN's layout with GELU done before the result is rounded. The numbers are autocast's up to that rounding.
Parameters stay as they are: checkpoints and hashes do not notice.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...compat import private_names
from ..blocks import Heads, Mlp, PatchEmbed
from ..whole_patches import check_whole

ROWS = 4096  # tokens of a call, about: for oneDNN's choice of layout


class HalfLinear:
    """A linear layer in half precision; `gelu=True` applies exact GELU to the result.

    Args:
        weight, bias: as of nn.Linear, in float32; they are copied.
        gelu: apply GELU to the result.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, gelu: bool = False):
        self.weight, self.dtype, self.gelu = weight.detach().to(dtype), dtype, gelu
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.packed = _has_packed(weight.device, dtype)
        if self.packed:
            self.weight = private_names.pack_linear_weight(self.weight, ROWS)

    def __call__(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype)
        if self.packed:
            return private_names.packed_linear(x, self.weight, self.bias, self.gelu)
        x = F.linear(x, self.weight, self.bias)
        return F.gelu(x) if self.gelu else x


class HalfMlp:
    """An MLP of two such layers."""

    def __init__(self, mlp: Mlp, dtype: torch.dtype):
        self.first = HalfLinear(mlp.fc1.weight, mlp.fc1.bias, dtype, gelu=True)
        self.second = HalfLinear(mlp.fc2.weight, mlp.fc2.bias, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class HalfPatches:
    """Patches (B, N, D) of an image by a linear layer: a convolution whose stride is its kernel, without its detour."""

    def __init__(self, proj: nn.Conv2d, dtype: torch.dtype):
        self.size, self.linear = proj.kernel_size[0], HalfLinear(proj.weight.flatten(1), proj.bias, dtype)

    def __call__(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        p, dtype = self.size, self.linear.dtype
        rows, cols = check_whole(x, p)
        x = x.to(dtype).unflatten(3, (cols, p)).unflatten(2, (rows, p))
        return self.linear(x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)), (rows, cols)


@functools.cache
def _has_packed(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this torch has oneDNN's packed linear layer, which torch.compile uses as well, and this CPU the type."""
    return device.type == 'cpu' and dtype == torch.bfloat16 and private_names.has_packed_linear()


@torch.no_grad()
def prepare(backbone: nn.Module, dtype: torch.dtype) -> None:
    """Gives every layer of a frozen backbone, whose weights are loaded, its half-precision form."""
    fused = set()
    for module in backbone.modules():
        if isinstance(module, Heads):
            module.project = HalfLinear(module.qkv.weight, module.qkv_bias(), dtype)
            fused.add(module.qkv)
        elif isinstance(module, Mlp):
            module.forward = HalfMlp(module, dtype)
            fused |= {module.fc1, module.fc2}
        elif isinstance(module, PatchEmbed):
            module.forward = HalfPatches(module.proj, dtype)
    for module in backbone.modules():
        if isinstance(module, nn.Linear) and module not in fused:
            # A layer's own forward, as above; its stub has a method of one signature there.
            module.forward = HalfLinear(module.weight, module.bias, dtype)  # pyright: ignore[reportAttributeAccessIssue]
