"""The pyramid against its formula, and among mmengine's necks."""

import pytest
import torch
import torch.nn.functional as F

from cae_bench.errors import ConfigError
from cae_bench.models.pyramid import ViTPyramid
from cae_bench.registry import MODELS


@torch.no_grad()
def test_levels_are_four_two_one_and_half_of_the_tap():
    torch.manual_seed(0)
    neck = ViTPyramid(8).eval()
    taps = [torch.randn(2, 8, 5, 7) for _ in range(4)]
    first, _, _, last = neck.fpn1
    _, norm, _, _ = neck.fpn1
    norm.running_var.fill_(0.002)  # makes a wrong epsilon obvious
    y = F.conv_transpose2d(taps[0], first.weight, first.bias, stride=2) / (0.002 + 1e-5) ** 0.5
    level0 = F.conv_transpose2d(F.gelu(y), last.weight, last.bias, stride=2)
    out = neck(taps)
    torch.testing.assert_close(out[0], level0, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out[1], F.conv_transpose2d(taps[1], neck.fpn2[0].weight, neck.fpn2[0].bias, stride=2))
    assert out[2] is taps[2]
    torch.testing.assert_close(out[3], F.max_pool2d(taps[3], 2))
    assert [tuple(o.shape[2:]) for o in out] == [(20, 28), (10, 14), (5, 7), (2, 3)]


def test_parameters_carry_their_released_names():
    names = {n for n, _ in ViTPyramid(8).named_parameters()}
    assert names == {f'{m}.{p}' for m in ('fpn1.0', 'fpn1.1', 'fpn1.3', 'fpn2.0') for p in ('weight', 'bias')}


def test_sync_batch_norm_is_a_setting():
    sync = dict(type='SyncBN', requires_grad=True)
    neck = MODELS.build(dict(type='cae_bench.ViTPyramid', embed_dims=8, norm_cfg=sync))
    assert type(neck.fpn1[1]).__name__ == 'SyncBatchNorm' and neck.fpn1[1].eps == 1e-5


def test_a_wrong_number_of_taps_names_out_indices():
    with pytest.raises(ConfigError, match='takes 4 maps, got 1; name as many blocks in .*out_indices'):
        ViTPyramid(8)([torch.randn(1, 8, 4, 4)])
