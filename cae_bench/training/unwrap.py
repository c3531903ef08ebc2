"""The model itself, without what runs it on several devices."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside DistributedDataParallel and the like; the model where nothing is around it."""
    if not is_model_wrapper(model):
        return model
    inside = model.module
    assert isinstance(inside, nn.Module)  # that is what makes a wrapper
    return inside
