"""Attention by the fastest kernel at hand; every model of the package comes here."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]  documented, not in its __all__

from ...compat.private_names import softmax_backward

SHORT = 512  # keys up to which the matrix of weights is small enough to be written out
PART = 1 << 22  # weights that are computed at a time where there is a bias to train: they stay in the cache


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(q k' / sqrt(d) + bias) v; q (B, heads, L, d), k and v (B, heads, S, d), bias broadcast to the logits.

    torch's fused kernel, with two exceptions, both on a CPU and where gradients are wanted (torch 2.12, AVX-512):
    short sequences in bfloat16, where its backward pass takes four to seven times as long as two batched matrix
    products, and a bias that is trained, whose gradient it does not know: torch then falls back to a matrix of all
    weights, kept until the backward pass, in one and a half times to twice the time of `_Biased` once it is large.
    A trace holds the plain products: counters of operations and exporters know no fused kernel.
    """
    bias = None if bias is None else bias.to(q.dtype)  # under autocast q is half, a table is not
    if is_tracing():
        logits = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)
        return (logits if bias is None else logits + bias).softmax(-1) @ v
    if q.device.type == 'cpu' and torch.is_grad_enabled():
        if q.dtype == torch.bfloat16 and k.shape[2] <= SHORT:
            return _written_out(q, k, v, bias)
        shared = (1, q.shape[1], q.shape[2], k.shape[2])
        trained = bias is not None and bias.requires_grad and bias.shape == shared
        if bias is not None and trained and q.shape[0] * bias.numel() > PART:
            return _Biased.apply(q, k, v, bias)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _written_out(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    shape, q, k, v = q.shape, q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    logits = torch.baddbmm(q.new_zeros(1, 1, 1), q, k.transpose(1, 2), beta=0, alpha=shape[3] ** -0.5)
    if bias is not None:
        logits = (logits.unflatten(0, shape[:2]) + bias).flatten(0, 1)
    return torch.bmm(logits.softmax(-1).to(v.dtype), v).view(shape)


class _Biased(Function):
    """Attention with a trained bias (1, heads, L, S): a part of the weights at a time, computed again for gradients."""

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(q, k, v, bias)
        out = torch.empty_like(q)
        for part in _parts(q, k):
            out[part] = _weights(q, k, bias, part) @ v[part]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  torch takes any number of gradients
        q, k, v, bias = ctx.saved_tensors
        to_q, to_k, to_v = (torch.empty_like(t) for t in (q, k, v))
        wide = torch.promote_types(q.dtype, torch.float32)  # for a sum over images
        to_bias = torch.zeros(bias.shape, dtype=wide)
        scale = q.shape[-1] ** -0.5
        for part in _parts(q, k):
            weights, grad_here = _weights(q, k, bias, part), grad[part]
            to_weights = grad_here @ v[part].transpose(1, 2)
            to_logits = softmax_backward(to_weights, weights)
            to_bias[0, part[1]] += to_logits.sum(0, dtype=wide)
            to_v[part] = weights.transpose(1, 2) @ grad_here
            to_k[part] = (to_logits.transpose(1, 2) @ q[part]).mul_(scale)
            to_q[part] = (to_logits @ k[part]).mul_(scale)
        return to_q, to_k, to_v, to_bias


def _parts(q: Tensor, k: Tensor) -> Iterator[tuple[slice, int]]:
    """(images, head) after (images, head), of at most PART weights each or one image."""
    images = max(1, PART // (q.shape[2] * k.shape[2]))
    for head in range(q.shape[1]):
        for first in range(0, q.shape[0], images):
            yield slice(first, first + images), head


def _weights(q: Tensor, k: Tensor, bias: Tensor, part: tuple[slice, int]) -> Tensor:
    return torch.baddbmm(bias[0, part[1]], q[part], k[part].transpose(1, 2), alpha=q.shape[-1] ** -0.5).softmax(-1)
