"""Training in bfloat16 on any device: mmengine's AmpOptimWrapper refuses CPUs, and scales losses that need no scale."""

from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward passes under torch's autocast; weights, gradients and updates stay in float32."""

    @contextmanager
    def optim_context(self, model: nn.Module):
        device = self.optimizer.param_groups[0]['params'][0].device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
