"""Batch norms over the images of all processes without GPUs: torch's SyncBatchNorm is for GPUs alone.

A config says `norm_cfg=dict(type='SyncBN')`; one process makes mmengine turn it into a plain batch norm.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def share_batch_norms(model: nn.Module) -> None:
    """Replaces every SyncBatchNorm of a model by one for CPUs, in place; parameters and buffers stay the same tensors."""
    for name, child in model.named_children():
        if isinstance(child, nn.SyncBatchNorm):
            setattr(model, name, SharedBatchNorm(child))
        else:
            share_batch_norms(child)


class SharedBatchNorm(nn.BatchNorm2d):
    """Mean and variance are those of all processes' positions together, whatever number each of them has.

    Takes (B, C, ...) of any number of dimensions, as SyncBatchNorm does.

    No SyncBatchNorm: DistributedDataParallel refuses those without a GPU.
    """

    def __init__(self, norm: nn.SyncBatchNorm):
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        for name, tensor in (*norm.named_parameters(recurse=False), *norm.named_buffers(recurse=False)):
            setattr(self, name, tensor)
        self.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        dims, shape = [d for d in range(input.ndim) if d != 1], (1, -1, *[1] * (input.ndim - 2))
        own = input.new_tensor([input.numel() / input.shape[1]])
        sums = _SumOfAll.apply(torch.cat([input.sum(dims), own]))
        count, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        centred = input - mean.view(shape)
        variance = _SumOfAll.apply(centred.square().sum(dims)) / count
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach() * count / (count - 1))  # unbiased, as torch has it
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        return scaled * self.weight.view(shape) + self.bias.view(shape) if self.affine else scaled

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None and self.running_mean is not None and self.running_var is not None
        self.num_batches_tracked += 1
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


class _SumOfAll(Function):
    """Sum over processes; so is its gradient, as the loss of each depends on what all have added."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]  torch takes any number of gradients
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total
