"""What is predicted: DALL-E codes, CLIP tokens, random-projection codes, pixels; and how their files are read."""

import pickle
from functools import partial
from pathlib import Path

import golden
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cae_bench.checkpoints import ViTSpec
from cae_bench.errors import CheckpointError, ConfigError
from cae_bench.pretraining.methods.base import Views
from cae_bench.pretraining.pixels import patchify, unpatchify
from cae_bench.pretraining.tokenizers import clip, dalle, random_projection
from cae_bench.pretraining.tokenizers.unpickle import read_module


def spec_of(image: int, patch: int) -> ViTSpec:
    return ViTSpec('cae', 48, 2, 3, patch_size=patch, img_size=(image, image))


# ---- DALL-E ----


@pytest.fixture(scope='module', params=golden.each('tokenizer'))
def dall_e(request):
    entry = golden.case(request.param)
    return entry, golden.npz(entry, 'pixels_u8')


@pytest.mark.golden
@pytest.mark.parametrize('kind', ['pkl', 'pth', 'safetensors'])
def test_dalle_codes_equal_the_official_ones_from_every_kind_of_file(dall_e, kind, tmp_path):
    entry, io = dall_e
    file = golden.path(*golden.held(entry, '.pkl')) if kind == 'pkl' else golden.checkpoint(entry)
    if kind == 'safetensors':
        save_file(torch.load(file, weights_only=True), tmp_path / 'encoder.safetensors')
        file = tmp_path / 'encoder.safetensors'
    target = dalle.DalleCodes(str(file))
    grid = entry['dims']['code_grid']
    target.fit(spec_of(16 * grid, 16))
    assert target.second_size == entry['dims']['image_size'] and target.dims == entry['dims']['vocab']
    pixels = torch.from_numpy(io['pixels_u8'])
    codes = target(Views(images=pixels.float(), second=pixels))
    assert np.array_equal(codes.view(-1, grid, grid).numpy(), io['codes'])
    mapped = dalle.map_pixels(pixels.float() / 255)
    np.testing.assert_allclose(mapped.numpy(), io['mapped'], atol=2e-7, rtol=0)
    logits = target.encoder(mapped)
    tolerance = golden.tolerance(entry['tolerance'], 'logits')
    np.testing.assert_allclose(logits[0, :, ::2, ::2].numpy(), io['logits_first_image'], **tolerance)


@pytest.mark.golden
def test_tokenizer_weights_are_in_no_checkpoint_and_train_nothing(dall_e):
    target = dalle.DalleCodes(str(golden.checkpoint(dall_e[0])))
    assert not list(target.parameters()) and not target.state_dict()


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path('owned'),))


@pytest.mark.parametrize('protocol', [2, 4])
def test_a_pickle_that_asks_for_code_is_refused_and_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    torch.save({'a': Evil()}, 'encoder.pkl', pickle_protocol=protocol)
    with pytest.raises(CheckpointError, match='encoder.pkl is no DALL-E encoder.*asks for'):
        dalle.DalleCodes('encoder.pkl')
    Path('plain.pkl').write_bytes(pickle.dumps(Evil(), protocol))
    with pytest.raises(CheckpointError, match='plain.pkl'):
        dalle.DalleCodes('plain.pkl')
    assert not Path('owned').exists()


def test_a_missing_or_other_tokenizer_file_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match='download https.*--tokenizer FILE'):
        dalle.DalleCodes()
    with pytest.raises(CheckpointError, match='gone.pkl: no such tokenizer file'):
        dalle.DalleCodes('gone.pkl')
    torch.save({'model': {'some.weight': torch.zeros(2)}, 'epoch': 3}, tmp_path / 'training.pth')
    with pytest.raises(CheckpointError, match='training.pth is no DALL-E encoder: .* a dict of model, epoch'):
        dalle.DalleCodes(str(tmp_path / 'training.pth'))
    torch.save([torch.zeros(2)], tmp_path / 'list.pth')
    (tmp_path / 'photo.jpg').write_bytes(bytes.fromhex('ffd8ffe000104a46') * 100)
    for target, kind in ((dalle.DalleCodes, 'DALL-E encoder'), (clip.ClipTokens, 'CLIP image tower')):
        with pytest.raises(CheckpointError, match=f'list.pth is no {kind}: the file holds a list'):
            target(str(tmp_path / 'list.pth'))
        with pytest.raises(CheckpointError, match=rf'photo.jpg is no {kind}: .*can read \(unknown format\)'):
            target(str(tmp_path / 'photo.jpg'))
    torch.save({'some.weight': torch.zeros(2)}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='other.pth is no DALL-E encoder.*some.weight'):
        dalle.DalleCodes(str(tmp_path / 'other.pth'))


# ---- CLIP ----


def clip_weights(
    width: int = 128, depth: int = 2, out: int = 24, patch: int = 8, grid: int = 3
) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    shapes = {
        'class_embedding': (width,),
        'positional_embedding': (grid * grid + 1, width),
        'proj': (width, out),
        'conv1.weight': (width, 3, patch, patch),
    }
    shapes |= {f'{n}.{p}': (width,) for n in ('ln_pre', 'ln_post') for p in ('weight', 'bias')}
    for i in range(depth):
        block = {
            'attn.in_proj_weight': (3 * width, width),
            'attn.in_proj_bias': (3 * width,),
            'attn.out_proj.weight': (width, width),
            'attn.out_proj.bias': (width,),
            'mlp.c_fc.weight': (4 * width, width),
            'mlp.c_fc.bias': (4 * width,),
            'mlp.c_proj.weight': (width, 4 * width),
            'mlp.c_proj.bias': (width,),
        }
        block |= {f'{n}.{p}': (width,) for n in ('ln_1', 'ln_2') for p in ('weight', 'bias')}
        shapes |= {f'transformer.resblocks.{i}.{k}': s for k, s in block.items()}
    return {f'visual.{k}': torch.randn(s) * 0.1 + ('ln_' in k and k.endswith('weight')) for k, s in shapes.items()}


def test_clip_tower_equals_timms_reading_of_the_same_weights():
    import timm

    weights = clip_weights()
    timms = timm.models.vision_transformer.VisionTransformer(
        img_size=24,
        patch_size=8,
        embed_dim=128,
        depth=2,
        num_heads=2,
        num_classes=24,
        pre_norm=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-5),
        act_layer='quick_gelu',
    ).eval()
    timms.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(dict(weights), timms))
    images = torch.randn(2, 3, 24, 24)
    with torch.no_grad():
        expected = timms.head(timms.forward_features(images))
        actual = clip.ClipTower(weights)(images)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


class Scripted(nn.Module):
    """A module tree with CLIP's parameter names, to be scripted as OpenAI's file was."""

    def __init__(self, weights: dict[str, torch.Tensor]):
        super().__init__()
        for name, tensor in weights.items():
            *path, last = name.split('.')
            module = self
            for part in path:
                if not hasattr(module, part):
                    module.add_module(part, nn.Module())
                module = getattr(module, part)
            module.register_parameter(last, nn.Parameter(tensor, requires_grad=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_a_torchscript_archive_is_read_without_running_it(tmp_path):
    weights = clip_weights() | {'logit_scale': torch.ones(()), 'visual.proj': torch.randn(128, 24).half()}
    torch.jit.script(Scripted(weights)).save(str(tmp_path / 'ViT-B-16.pt'))
    read = read_module(tmp_path / 'ViT-B-16.pt')
    assert set(weights) <= set(read) and all(torch.equal(read[k], v) for k, v in weights.items())
    target = clip.ClipTokens(str(tmp_path / 'ViT-B-16.pt'))
    target.fit(spec_of(48, 16))
    tokens = target(Views(torch.zeros(1, 3, 48, 48), second=torch.zeros(1, 3, 24, 24, dtype=torch.uint8)))
    assert tokens.shape == (1, 1 + 9, 24)


def test_a_file_that_is_no_clip_is_refused_by_key(tmp_path):
    weights = clip_weights()
    save_file({k: v for k, v in weights.items() if 'ln_pre' not in k}, tmp_path / 'a.safetensors')
    with pytest.raises(CheckpointError, match='a.safetensors.*lacks ln_pre.bias'):
        clip.ClipTokens(str(tmp_path / 'a.safetensors'))
    save_file(weights | {'visual.extra': torch.zeros(1)}, tmp_path / 'b.safetensors')
    with pytest.raises(CheckpointError, match='b.safetensors.*has extra'):
        clip.ClipTokens(str(tmp_path / 'b.safetensors'))


# ---- without any download ----


def test_random_projection_codes_are_those_of_a_literal_nearest_neighbour_and_fixed_by_the_seed():
    target = random_projection.RandomProjectionCodes(codes=32, seed=3)
    target.fit(spec_of(32, 8))
    images = torch.randn(2, 3, 32, 32)
    codes = target(Views(images))
    patch = images[1, :, 8:16, 16:24].permute(1, 2, 0).flatten()  # row 1, column 2
    x = ((patch - patch.mean()) / (patch.var() + 1e-6).sqrt()) @ target.projection
    distance = (x / x.norm() - target.codebook).norm(dim=1)
    assert codes[1, 1 * 4 + 2] == distance.argmin()
    again = random_projection.RandomProjectionCodes(codes=32, seed=3)
    again.fit(spec_of(32, 8))
    assert torch.equal(again(Views(images)), codes)


def test_random_projection_codes_do_not_see_brightness_or_contrast():
    target = random_projection.RandomProjectionCodes(codes=64)
    target.fit(spec_of(32, 8))
    images = torch.randn(4, 3, 32, 32)
    same = (target(Views(images)) == target(Views(2.5 * images + 0.7))).float().mean()
    assert same > 0.98 and len(target(Views(images)).unique()) > 16


def test_patches_come_back_as_the_image_they_were_cut_from():
    images = torch.randn(2, 3, 16, 24)
    patches = patchify(images, 8)
    assert torch.equal(patches[0, 4, :3], images[0, :, 8, 8])  # second row, second column, its first pixel
    assert torch.equal(unpatchify(patches, 8, (2, 3)), images)
