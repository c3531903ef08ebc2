"""Four maps of one stride to strides 4, 8, 16, 32: the neck CAE, BEiT and MAE share in segmentation and detection.

In a list of necks it stands before FPN:
    neck=[dict(type='cae_bench.ViTPyramid', embed_dims=768), dict(type='FPN', ...)]
"""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..errors import ConfigError
from ..registry import MODELS
from .norms import build_norm


@MODELS.register_module()
class ViTPyramid(BaseModule):
    """Scales the four taps by 4, 2, 1 and 1/2: patches of 16 pixels give strides 4, 8, 16, 32, of 8 half that.

    Layers carry their released names: `fpn1` (deconv, norm, GELU, deconv) and `fpn2` (deconv); the third level is the
    tap itself and the fourth a 2x2 max-pool. Source: CAE's `backbone/cae.py` and `register_backbone.py`.

    Args:
        embed_dims: width of the taps, kept on every level.
        norm_cfg: of the one norm in fpn1; the papers train with dict(type='SyncBN') on GPUs.
    """

    coarsest = 2  # patches on a side of the last level's: an odd one left over would be lost

    def __init__(self, embed_dims: int, norm_cfg: dict | None = None):
        super().__init__()
        self.embed_dims = embed_dims
        norm = build_norm(norm_cfg, embed_dims)  # eps 1e-5
        self.fpn1 = nn.Sequential(_double(embed_dims), norm, nn.GELU(), _double(embed_dims))
        self.fpn2 = nn.Sequential(_double(embed_dims))
        self.fpn3 = nn.Identity()
        self.fpn4 = nn.MaxPool2d(2, 2)

    def forward(self, taps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Four (B, D, h, w) -> (B, D, 4h, 4w), (B, D, 2h, 2w), (B, D, h, w), (B, D, h // 2, w // 2)."""
        levels = (self.fpn1, self.fpn2, self.fpn3, self.fpn4)
        if len(taps) != len(levels):
            raise ConfigError(
                f'ViTPyramid takes {len(levels)} maps, got {len(taps)}; name as many blocks in the '
                "backbone's out_indices"
            )
        return tuple(level(tap) for level, tap in zip(levels, taps))


def _double(dims: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(dims, dims, kernel_size=2, stride=2)
