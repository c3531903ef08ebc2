"""Training in bfloat16 on any device: mmengine's AmpOptimWrapper refuses CPUs, and scales losses that need no scale."""

import functools
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from ..compat.private_names import cpu_has_bfloat16
from ..logs import say
from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward passes under torch's autocast; weights, gradients and updates stay in float32."""

    @contextmanager
    def optim_context(self, model: nn.Module):
        device = self.optimizer.param_groups[0]['params'][0].device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


def say_if_imitated(amp: str) -> None:
    """Says so, once in a process, where `amp` is bf16 and the only device is a CPU without units for it."""
    if amp == 'bf16' and not torch.cuda.is_available() and not cpu_has_bfloat16():
        _say_imitated()


@functools.cache
def _say_imitated() -> None:
    say('this CPU has no units for bfloat16 and imitates it, up to 20 times slower than fp32: use --amp fp32')
