"""What is asked of a network's backbone, whatever stands around it."""

from torch import nn

from ..checkpoints import LoadReport
from .timm_vit import TimmViT
from .vit import ViT


def load_report_of(network: nn.Module) -> LoadReport | None:
    """What became of each tensor when the backbone was filled; None where nothing was loaded, or it is not ours."""
    backbones = (module for module in network.modules() if isinstance(module, ViT | TimmViT))
    return next((backbone.load_report for backbone in backbones if backbone.load_report), None)
