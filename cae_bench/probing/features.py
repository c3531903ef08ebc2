"""What probes read of an image: pooled or whole tokens of the frozen backbone."""

import contextlib

import torch
from torch import Tensor

from ..models.timm_vit import TimmViT
from ..models.vit import ViT

FEATURES = {  # of all tokens (B, 1 + N, D) after the final LayerNorm
    'tokens': lambda tokens: tokens,
    'cls': lambda tokens: tokens[:, 0],
    'mean': lambda tokens: tokens[:, 1:].mean(1),
    'cls_mean': lambda tokens: torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1),
}
LAYERS = 'layers'  # cls_mean of every block's raw output, (B, L, 2 D)
WIDTH = {'tokens': 1, 'cls': 1, 'mean': 1, 'cls_mean': 2, LAYERS: 2}  # in embed_dims
PRECISIONS = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


def frozen_features(
    backbone: ViT | TimmViT, images: Tensor, wanted: set[str], dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """Each wanted feature, from one forward, in float32.

    Args:
        images: (B, 3, H, W), normalised.
        dtype: of the forward under autocast; None: float32.
    """
    half = torch.autocast(images.device.type, dtype=dtype) if dtype else contextlib.nullcontext()
    with half:
        depth = range(backbone.spec.num_layers)
        taps = backbone.forward_tokens(images, depth) if LAYERS in wanted else []
        final = _final(backbone, images, taps).float() if wanted - {LAYERS} else None
    found = {}
    if taps:
        found[LAYERS] = torch.stack([FEATURES['cls_mean'](tokens.float()) for tokens in taps], 1)
    if final is not None:
        for name in wanted - {LAYERS}:
            # As a cache gives them: a view would keep all tokens while a group fills, and round otherwise.
            found[name] = FEATURES[name](final).contiguous()
    return found


def _final(backbone: ViT | TimmViT, images: Tensor, taps: list[Tensor]) -> Tensor:
    """Tokens (B, 1 + N, D) after the final LayerNorm; where all blocks have been run already, no second forward."""
    if taps and isinstance(backbone, ViT) and backbone.spec.cls_token and backbone.norm is not None:
        return backbone.norm(taps[-1])
    return backbone.forward_features(images)
