"""ViTDet's simple feature pyramid (arXiv 2203.16527): five levels from the last map of a plain backbone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS


@MODELS.register_module()
class LN2d(nn.Module):
    """LayerNorm over the channels of (B, C, H, W): detectron2's 'LN', as norm_cfg=dict(type='cae_bench.LN2d').

    No subclass of nn.LayerNorm, as there: detectron2's rule of weight decay does not spare it.
    """

    _abbr_ = 'ln'

    def __init__(self, channels: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, self.eps).movedim(-1, 1)


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """One map of stride 16 -> strides 4, 8, 16, 32, each by deconvolution or pooling and two convolutions, and 64.

    Source: detectron2 `modeling/backbone/vit.py`.

    Args:
        embed_dims: width of the map.
        out_channels: width of every level.
    """

    def __init__(self, embed_dims: int, out_channels: int = 256):
        super().__init__()
        half, quarter = embed_dims // 2, embed_dims // 4
        up4 = [
            nn.ConvTranspose2d(embed_dims, half, 2, 2),
            LN2d(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, 2),
        ]
        up2 = [nn.ConvTranspose2d(embed_dims, half, 2, 2)]
        self.levels = nn.ModuleList(
            nn.Sequential(*resize, *_convs(width, out_channels))
            for resize, width in ((up4, quarter), (up2, half), ([], embed_dims), ([nn.MaxPool2d(2, 2)], embed_dims))
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """((B, D, h, w),) -> (B, out, 4h, 4w), 2h, h, h / 2 and every second pixel of that."""
        out = [level(maps[-1]) for level in self.levels]
        return *out, F.max_pool2d(out[-1], 1, 2)


def _convs(width: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(width, out, 1, bias=False), LN2d(out), nn.Conv2d(out, out, 3, padding=1, bias=False), LN2d(out)]
