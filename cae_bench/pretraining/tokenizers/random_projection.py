"""Codes without any training or download: a fixed random projection and a fixed random codebook.

BEST-RQ (Chiu et al., arXiv 2202.01855) on image patches: per-patch normalised pixels, projected by a Xavier matrix,
matched to the nearest of `codes` normal vectors by cosine. Seed and patch size fix it, so nothing is stored.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...checkpoints import ViTSpec
from ...registry import MODELS
from ..methods.base import Codes, Views
from ..pixels import normalised, patchify


@MODELS.register_module()
class RandomProjectionCodes(Codes):
    """One code for each patch of the encoder's own view.

    Args:
        codes: size of the codebook (8192 in BEST-RQ and in DALL-E).
        code_dims: width of the projection, 16 in BEST-RQ.
        normalize: take mean and variance out of every patch first; without it codes mostly tell brightness.
        seed: of matrix and codebook.
    """

    projection: Tensor
    codebook: Tensor

    def __init__(self, codes: int = 8192, code_dims: int = 16, normalize: bool = True, seed: int = 0):
        super().__init__()
        self.dims, self.code_dims, self.normalize, self.seed = codes, code_dims, normalize, seed

    def fit(self, spec: ViTSpec) -> None:
        self.patch_size = spec.patch_size
        pixels = spec.patch_size**2 * spec.in_channels
        rng = torch.Generator().manual_seed(self.seed)
        bound = (6 / (pixels + self.code_dims)) ** 0.5
        projection = (torch.rand(pixels, self.code_dims, generator=rng) * 2 - 1) * bound
        codebook = F.normalize(torch.randn(self.dims, self.code_dims, generator=rng), dim=1)
        self.register_buffer('projection', projection, persistent=False)
        self.register_buffer('codebook', codebook, persistent=False)

    @torch.no_grad()
    def forward(self, views: Views) -> Tensor:
        patches = patchify(views.images.float(), self.patch_size)
        if self.normalize:
            patches = normalised(patches)
        return (patches @ self.projection @ self.codebook.T).argmax(-1)  # the projection's length moves no arg-max
