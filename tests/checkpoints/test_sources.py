"""Sources that are no files: random:NAME and timm:NAME."""

import pytest
import timm
import torch

from cae_bench.checkpoints import CheckpointError, load, timm_hub
from cae_bench.errors import ConfigError


@pytest.mark.parametrize(
    ('source', 'size'),
    [
        ('random:vit-tiny', (192, 12, 12, 16)),
        ('random:vit-small', (384, 12, 12, 16)),
        ('random:vit-base', (768, 12, 12, 16)),
        ('random:base', (768, 12, 12, 16)),
        ('random:vit-large', (1024, 24, 16, 16)),
        ('random:vit-huge', (1280, 32, 16, 16)),
        ('random:vit-128x4x4-p8', (128, 4, 4, 8)),
        ('random:vit-48x2x3', (48, 2, 3, 16)),
    ],
)
def test_random_weights_are_a_spec_without_a_file(source, size):
    ckpt = load(source)
    spec = ckpt.spec
    assert (spec.embed_dims, spec.num_layers, spec.num_heads, spec.patch_size) == size
    assert (spec.family, spec.pos_embed, spec.qkv_bias, spec.layer_scale) == ('random', 'sincos_row', 'qv', True)
    assert ckpt.state_dict is None and ckpt.sha256 is None and ckpt.name == source.replace(':', '-')


def test_an_unknown_arch_names_the_nearest():
    with pytest.raises(ConfigError, match="unknown arch 'vit-bsae'. Did you mean vit-base"):
        load('random:vit-bsae')


def test_a_random_size_without_a_published_number_of_heads_asks_for_it():
    with pytest.raises(CheckpointError, match='write random:vit-48x2xHEADS or pass --num-heads N'):
        load('random:vit-48x2')
    assert load('random:vit-48x2', num_heads=4).spec.num_heads == 4
    with pytest.raises(CheckpointError, match='48 must be divisible by its 5 heads'):
        load('random:vit-48x2x5')


@pytest.fixture
def offline_weights(monkeypatch):
    """timm builds the model with random weights where it would fetch pretrained ones."""
    real = timm.create_model
    monkeypatch.setattr(timm, 'create_model', lambda name, pretrained: real(name, pretrained=False, depth=2))


@pytest.mark.parametrize(
    ('name', 'family', 'mean'),
    [
        ('vit_tiny_patch16_224', 'timm', 0.5),
        ('deit_tiny_patch16_224', 'timm', 0.485),
        ('deit3_small_patch16_224', 'timm', 0.485),
        ('beit_base_patch16_224', 'beit', 0.5),
        ('vit_small_patch14_dinov2', 'timm', 0.485),
    ],
)
def test_a_timm_vit_that_ours_equals_is_converted(name, family, mean, offline_weights):
    model = timm.create_model(name, pretrained=True)
    ckpt = load(f'timm:{name}')
    assert ckpt.timm_name is None and ckpt.spec.family == family and ckpt.spec.mean[0] == mean
    assert ckpt.spec.num_heads == model.blocks[0].attn.num_heads and ckpt.spec.num_layers == 2
    assert ckpt.spec.patch_size == model.patch_embed.patch_size[0] and len(ckpt.sha256) == 64
    assert ckpt.name == f'timm-{name}'


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('vit_small_patch14_reg4_dinov2', 'register tokens'),
        ('vit_tiny_patch16_224.augreg_in21k', None),
        ('vit_base_patch16_clip_224.openai', 'not exact GELU|a norm before the blocks'),
        ('deit_tiny_distilled_patch16_224', 'timm class'),
        ('eva02_tiny_patch14_224', 'timm class'),
    ],
)
def test_a_timm_vit_that_ours_lacks_parts_of_is_left_to_timm(name, reason, offline_weights):
    ckpt = load(f'timm:{name}')
    assert ckpt.timm_name == (name if reason else None) and (ckpt.state_dict is None) == bool(reason)
    if reason:
        import re

        assert re.search(reason, ckpt.report.notes[0]) and ckpt.spec.family == 'timm' and ckpt.spec.num_layers == 2


def test_converted_timm_tensors_are_those_of_the_model(offline_weights, monkeypatch):
    torch.manual_seed(0)
    model = timm.create_model('deit_tiny_patch16_224', pretrained=True)
    monkeypatch.setattr(timm_hub, 'create', lambda name: model)
    ckpt = load('timm:deit_tiny_patch16_224')
    own = model.state_dict()
    assert all(torch.equal(own[key], ckpt.state_dict[ours]) for key, ours in ckpt.report.used.items())
    assert set(own) == set(ckpt.report.used) | set(ckpt.report.dropped)


def test_an_unknown_timm_name_is_answered_with_the_nearest():
    with pytest.raises(CheckpointError, match='timm has no such model. Did you mean .*vit_base_patch16_224'):
        load('timm:vit_bsae_patch16_224')


def test_weights_that_cannot_be_downloaded_are_said_to_be_so(monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError('Name or service not known')

    monkeypatch.setattr(timm, 'create_model', no_network)
    with pytest.raises(CheckpointError, match=r'not be downloaded \(Name or service not known\).*pass the weight file'):
        load('timm:vit_tiny_patch16_224')


def test_a_network_that_is_no_vit_is_refused(offline_weights, monkeypatch):
    monkeypatch.setattr(timm_hub, 'create', lambda name: torch.nn.Sequential())
    with pytest.raises(CheckpointError, match='timm:resnet18 is a Sequential, not a plain vision transformer'):
        load('timm:resnet18')


def test_zero_heads_are_an_error_and_not_taken_for_no_answer():
    with pytest.raises(CheckpointError, match='divisible by its 0 heads'):
        load('random:vit-tiny', num_heads=0)
