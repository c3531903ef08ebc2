"""What a tensor must be to be a weight: a dense array of floating-point numbers, all finite."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import CheckpointError
from ._tensors import Unreadable

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def check_dense(tensors: Mapping[str, Tensor | Unreadable]) -> None:
    """CheckpointError names the first tensor that is sparse, quantised, nested or a repeated view."""
    for key, tensor in tensors.items():
        if isinstance(tensor, Unreadable):
            raise CheckpointError(
                f'{key} is {tensor.kind}: weights are dense tensors. Save {tensor.remedy} in its place.'
            )
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise CheckpointError(
                f'{key} is no dense tensor: save tensor.to_dense() or tensor.dequantize() in its place.'
            )


def check_floating(tensors: Mapping[str, Tensor], but: tuple[str, ...] = ()) -> None:
    """CheckpointError names the first tensor of another dtype, but for integers whose key ends with one of `but`."""
    for key, tensor in tensors.items():
        if tensor.dtype not in FLOATS and not (tensor.dtype == torch.int64 and key.endswith(but or ('\0',))):
            kind = str(tensor.dtype).removeprefix('torch.')
            raise CheckpointError(
                f'{key} is {kind}: weights are float32, float16, bfloat16 or float64. Save the numbers '
                'that the training computed with in its place (of scaled formats: value times scale).'
            )


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """CheckpointError names tensors with NaN or infinite values."""
    broken = [key for key, tensor in tensors.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            f'NaN or infinite values in {few(broken)}: the training that wrote it had diverged; use an '
            'earlier checkpoint.'
        )


def few(items: list[str], at_most: int = 4) -> str:
    """The first of them, and how many there are."""
    more = f', ... ({len(items)} in all)' if len(items) > at_most else ''
    return ', '.join(items[:at_most]) + more
