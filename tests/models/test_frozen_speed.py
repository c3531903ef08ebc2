"""Half precision made ready once: autocast's numbers up to rounding, and nobody else notices."""

import pytest
import torch

from cae_bench.checkpoints.spec import ViTSpec
from cae_bench.errors import ConfigError
from cae_bench.models.blocks import PatchEmbed
from cae_bench.models.kernels.half_precision_vit import HalfLinear, HalfPatches
from cae_bench.probing.feature_cache import weights_hash
from cae_bench.probing.model import FrozenProbes

KNN = dict(type='cae_bench.KNNProbe', feature='cls', grid=dict(k=[1], temperature=[0.07]))


def model(precision='float32', family='cae', **fields):
    torch.manual_seed(0)
    spec = ViTSpec(family=family, embed_dims=64, num_layers=4, num_heads=4, patch_size=8, img_size=(32, 32), **fields)
    made = FrozenProbes(
        dict(type='cae_bench.ViT', spec=spec.to_dict(), frozen=True), dict(knn=KNN), 3, precision=precision
    )
    made.backbone.init_weights()
    for name, p in made.backbone.named_parameters():  # biases and tables that count
        if p.ndim == 1 or 'table' in name:
            torch.nn.init.normal_(p, std=0.5)
    return made


IMAGES = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    'fields',
    [
        dict(),
        dict(family='beit', rel_pos_bias='shared', pos_embed='none'),
        dict(family='mae', qkv_bias='full', layer_scale=False),
    ],
)
def test_prepared_features_are_no_further_from_float32_than_autocast_s(fields):
    exact = model(**fields).features(IMAGES, {'tokens'})['tokens']
    half = model('bfloat16', **fields)
    ours = half.features(IMAGES, {'tokens'})['tokens']
    plain = model(**fields)
    x = (IMAGES.float() - plain.mean) / plain.std
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        autocast = plain.backbone.forward_features(x).float()
    assert half.prepared and not torch.equal(ours, exact)
    assert (ours - exact).abs().mean() < 1.1 * (autocast - exact).abs().mean() < 0.1


def test_parameters_and_their_hash_stay_as_they_are():
    half, plain = model('bfloat16'), model()
    half.features(IMAGES, {'cls'})
    assert half.state_dict().keys() == plain.state_dict().keys()
    assert weights_hash(half.backbone) == weights_hash(plain.backbone)


def test_patches_by_a_linear_layer_are_those_of_the_convolution():
    plain = PatchEmbed(3, 24, 8)
    x = torch.randn(2, 3, 16, 32)
    with torch.no_grad():
        (ours, grid), (exact, same) = HalfPatches(plain.proj, torch.bfloat16)(x), plain(x)
    assert grid == same == (2, 4)
    torch.testing.assert_close(ours.float(), exact, rtol=2e-2, atol=2e-2)
    with pytest.raises(ConfigError, match='20 x 35 pixels does not fill patches of 8'):
        HalfPatches(plain.proj, torch.bfloat16)(torch.randn(2, 3, 20, 35))


@pytest.mark.parametrize('packed', [True, False])
def test_a_prepared_layer_is_the_layer_rounded(packed, monkeypatch):
    monkeypatch.setattr(
        'cae_bench.models.kernels.half_precision_vit._has_packed',
        (lambda *a: False) if not packed else HalfLinear.__init__.__globals__['_has_packed'],
    )
    layer, x = torch.nn.Linear(24, 40), torch.randn(2, 7, 24)
    for gelu in (False, True):
        exact = layer(x.bfloat16().float())
        exact = torch.nn.functional.gelu(exact) if gelu else exact
        with torch.no_grad():
            ours = HalfLinear(layer.weight, layer.bias, torch.bfloat16, gelu)(x)
        assert ours.shape == (2, 7, 40) and ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.float(), exact, rtol=2e-2, atol=1e-2)
