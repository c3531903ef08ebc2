"""Features of one forward on a backbone of another package."""

import torch

from cae_bench.models.timm_vit import TimmViT
from cae_bench.probing.features import frozen_features


def test_layers_of_a_timm_vit_share_a_forward_with_its_other_features():
    torch.manual_seed(0)
    backbone = TimmViT('vit_tiny_patch16_224', img_size=32, depth=2).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        together = frozen_features(backbone, images, {'layers', 'cls'})
        alone = frozen_features(backbone, images, {'cls'})
    assert together['layers'].shape == (2, 2, 2 * 192)
    torch.testing.assert_close(together['cls'], alone['cls'])
