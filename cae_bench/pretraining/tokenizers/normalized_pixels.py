"""The pixels of a patch, normalised patch by patch (MAE, arXiv 2111.06377)."""

import torch.nn.functional as F
from torch import Tensor

from ...checkpoints import ViTSpec
from ...registry import MODELS
from ..methods.base import Target, Views
from ..pixels import normalised, patchify


@MODELS.register_module()
class NormalizedPixels(Target):
    """p * p * channels values for each patch of the encoder's own view.

    normalize: per patch, as in the released MAE weights.
    """

    def __init__(self, normalize: bool = True):
        super().__init__()
        self.normalize = normalize

    def fit(self, spec: ViTSpec) -> None:
        self.patch_size, self.dims = spec.patch_size, spec.patch_size**2 * spec.in_channels

    def forward(self, views: Views) -> Tensor:
        patches = patchify(views.images.float(), self.patch_size)
        return normalised(patches) if self.normalize else patches

    def loss(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return dict(loss=F.mse_loss(prediction.float(), target))
