"""Linear probing of dense features: the norms between a frozen backbone's patch tokens and one linear layer.

Protocol: DINOv2 (arXiv 2304.07193, section 7.4), its `dinov2_vitb14_ade20k_linear` config and `BNHead`.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS
from .norms import build_norm


@MODELS.register_module()
class TokenNorm(BaseModule):
    """LayerNorm over channels without weights, then batch norm: a neck before a 1x1 convolution.

    The protocol reads tokens after the encoder's last LayerNorm. Its weight and bias are left out here: the batch norm
    that follows removes any scale and shift of a channel, so the same linear maps can be learned, and checkpoints
    without that norm are treated alike.

    Args:
        embed_dims: width of the tokens.
        norm_cfg: the batch norm; the protocol has dict(type='SyncBN') on GPUs.
        eps: of the LayerNorm.
    """

    def __init__(self, embed_dims: int, norm_cfg: dict | None = None, eps: float = 1e-6):
        super().__init__()
        self.embed_dims, self.eps = embed_dims, eps
        self.bn: nn.Module = build_norm(norm_cfg, embed_dims)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps (B, D, h, w), raw outputs of blocks -> the same shapes, normalised."""
        return tuple(self.bn(self._layer_norm(m)) for m in maps)

    def _layer_norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.movedim(1, -1), (self.embed_dims,), eps=self.eps).movedim(-1, 1)
