"""Attention by the fastest kernel at hand; every model of the package comes here."""
import torch
import torch.nn.functional as F
from torch import Tensor

SHORT = 512           # keys up to which the matrix of weights is small enough to be written out


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(q k' / sqrt(d) + bias) v; q (B, heads, L, d), k and v (B, heads, S, d), bias broadcast to the logits.

    torch's fused kernel, except where gradients are wanted of short sequences in bfloat16 on a CPU: there its backward
    pass takes four to seven times as long as two batched matrix products (99 and 197 tokens, AVX-512 with bfloat16;
    torch 2.12).
    """
    bias = None if bias is None else bias.to(q.dtype)          # under autocast q is half, a table is not
    if q.device.type == 'cpu' and q.dtype == torch.bfloat16 and k.shape[2] <= SHORT and torch.is_grad_enabled():
        return _written_out(q, k, v, bias)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _written_out(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    shape, q, k, v = q.shape, q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    logits = torch.baddbmm(q.new_zeros(1, 1, 1), q, k.transpose(1, 2), beta=0, alpha=shape[3] ** -0.5)
    if bias is not None:
        logits = (logits.unflatten(0, shape[:2]) + bias).flatten(0, 1)
    return torch.bmm(logits.softmax(-1).to(v.dtype), v).view(shape)
