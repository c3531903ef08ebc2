"""Cross entropy over thousands of codes, a few rows at a time.

As torch computes it, a step of CAE-base holds the logits four times in float32 (copy, log-softmax, two gradients).
Here rows are turned into their gradient while they are in the cache, and only that is kept, in the logits' precision.
"""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

PART = 1 << 20  # logits at a time on a CPU: what stays in the cache
LARGE_PART = 1 << 26  # elsewhere: a GPU has less to gain from the cache than from few calls


def cross_entropy(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (M, K) and codes (M,) -> mean cross entropy and the share of rows whose largest logit is the code's."""
    return _CrossEntropy.apply(logits, target)


class _CrossEntropy(Function):
    @staticmethod
    def forward(ctx, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(logits.dtype, torch.float32)
        loss, hits = logits.new_zeros((), dtype=wide), logits.new_zeros((), dtype=wide)
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        rows = max(1, (PART if logits.device.type == 'cpu' else LARGE_PART) // logits.shape[1])
        for first in range(0, len(logits), rows):
            part = slice(first, first + rows)
            chosen, scores = target[part, None], logits[part].to(wide, copy=True)
            hits += (scores.argmax(1, keepdim=True) == chosen).sum()
            log_sums = scores.logsumexp(1, keepdim=True)
            loss += (log_sums - scores.gather(1, chosen)).sum()
            if gradient is not None:
                scores.sub_(log_sums).exp_()
                gradient[part] = scores.scatter_add_(1, chosen, -torch.ones_like(log_sums))
        ctx.save_for_backward(gradient)
        hit = hits / len(logits)
        ctx.mark_non_differentiable(hit)
        return loss / len(logits), hit

    @staticmethod
    @once_differentiable
    def backward(ctx, to_loss: Tensor, _: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]  torch takes any number of gradients
        (gradient,) = ctx.saved_tensors
        return gradient * (to_loss / len(gradient)), None  # the factor is a scalar, which stays in float32
