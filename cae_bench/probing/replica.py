"""The model of a pass in one of several processes."""

from torch import nn

from ..registry import MODEL_WRAPPERS
from .model import FrozenProbes


@MODEL_WRAPPERS.register_module()
class Replica(nn.Module):
    """One process's copy of the model. DistributedDataParallel would sum gradients at every backward pass; the trainers
    sum them once a step, and a pass without trained heads has none.
    """

    module: FrozenProbes

    def __init__(self, module: FrozenProbes):
        super().__init__()
        self.module = module

    def val_step(self, data: dict) -> list[dict]:
        return self.module.val_step(data)

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


def frozen_probes(model: nn.Module) -> FrozenProbes:
    """The model of a pass, taken out of a process's Replica."""
    inner = model.module if isinstance(model, Replica) else model
    assert isinstance(inner, FrozenProbes), f'a frozen pass trains FrozenProbes, not {type(inner).__name__}'
    return inner
