"""The neck of linear segmentation, hand-worked."""

import torch
from torch import nn

from cae_bench.models.linear_seg import TokenNorm


def test_every_token_is_normalised_over_its_channels_and_then_every_channel_over_the_batch():
    neck = TokenNorm(2).eval()
    (out,) = neck([torch.tensor([[[[3.0]], [[7.0]]]])])  # mean 5, deviation 2: (-1, 1)
    torch.testing.assert_close(out.flatten(), torch.tensor([-1.0, 1.0]), rtol=1e-4, atol=0)
    maps = torch.randn(4, 6, 3, 5, generator=torch.Generator().manual_seed(0)) * 9 + 4
    (out,) = TokenNorm(6).train()([maps])
    assert out.shape == maps.shape
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.var((0, 2, 3), unbiased=False), torch.ones(6), rtol=1e-4, atol=0)


def test_the_encoder_s_own_norm_weights_make_no_difference_after_the_batch_norm():
    torch.manual_seed(0)
    maps, norm = torch.randn(4, 6, 3, 5), nn.LayerNorm(6, eps=1e-6)
    nn.init.uniform_(norm.weight, 0.5, 3)
    nn.init.normal_(norm.bias, std=2)
    with_affine = norm(maps.movedim(1, -1)).movedim(-1, 1)
    neck = TokenNorm(6).train()
    torch.testing.assert_close(neck.bn(with_affine), neck([maps])[0], rtol=1e-4, atol=1e-4)
