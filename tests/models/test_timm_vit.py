"""timm's ViTs behind the face of ours; weights are random, nothing is fetched."""

import pytest
import torch
from vits import images

from cae_bench.errors import ConfigError
from cae_bench.models.timm_vit import TimmViT
from cae_bench.registry import MODELS

TINY = dict(embed_dim=32, depth=4, num_heads=2, img_size=64)
# class token; four registers; distillation token; no class token; registers with rotary positions; SwiGLU with rotary
NAMES = [
    'vit_tiny_patch16_224',
    'vit_small_patch16_dinov3',
    'deit_tiny_distilled_patch16_224',
    'vit_base_patch16_siglip_224',
    'vit_small_patch14_reg4_dinov2',
    'eva02_tiny_patch14_224',
]


def build(name: str, **settings) -> TimmViT:
    torch.manual_seed(0)
    return MODELS.build(dict(type='cae_bench.TimmViT', name=name, **{**TINY, **settings})).eval()


@pytest.mark.parametrize('name', NAMES)
@torch.no_grad()
def test_any_timm_vit_has_the_face_of_ours(name):
    vit = build(name, out_indices=(0.25, 0.5, 0.75, 1.0), final_norm=True)
    p = vit.patch_size
    x = images((3 * p, 4 * p))  # not the native size
    maps, tokens = vit(x), vit.forward_features(x)
    assert [tuple(m.shape) for m in maps] == [(2, 32, 3, 4)] * 4
    assert tokens.shape == (2, 1 + 12, 32)
    raw = vit.forward_tokens(x, [0, -1])
    torch.testing.assert_close(raw[1][:, 1:].mT.reshape(2, 32, 3, 4), maps[3])
    torch.testing.assert_close(raw[0][:, 1:].mT.reshape(2, 32, 3, 4), maps[0])
    assert raw[1].shape == tokens.shape
    native = (64 // p * p,) * 2
    assert (vit.spec.embed_dims, vit.spec.num_layers, vit.spec.num_heads, vit.spec.img_size) == (32, 4, 2, native)


@torch.no_grad()
def test_an_image_that_fills_no_patches_is_padded_for_maps_and_refused_for_tokens():
    vit, x = build('vit_small_patch14_reg4_dinov2'), images((60, 70))
    canvas = torch.zeros(2, 3, 70, 70)
    canvas[..., :60, :] = x
    assert torch.equal(vit(x)[0], vit(canvas)[0]) and vit(x)[0].shape == (2, 32, 5, 5)
    for use in (vit.forward_features, lambda x: vit.forward_tokens(x, [0])):
        with pytest.raises(ConfigError, match='60 x 70 pixels does not fill patches of 14: give sizes like 56 x 70'):
            use(x)


@pytest.mark.parametrize('name', ['vit_tiny_patch16_224', 'vit_small_patch16_dinov3'])
@torch.no_grad()
def test_tokens_are_timms_own_with_other_prefix_tokens_left_out(name):
    vit = build(name)
    own = vit.model.forward_features(images())
    want = torch.cat([own[:, :1], own[:, vit.model.num_prefix_tokens :]], 1)
    torch.testing.assert_close(vit.forward_features(images()), want)
    torch.testing.assert_close(vit.model.norm(vit.forward_tokens(images(), [-1])[0]), want)


@torch.no_grad()
def test_without_class_token_the_mean_patch_stands_first():
    tokens = build('vit_base_patch16_siglip_224').forward_features(images())
    torch.testing.assert_close(tokens[:, 0], tokens[:, 1:].mean(1))


@torch.no_grad()
def test_a_model_that_norms_only_its_pooled_feature_says_so():
    with pytest.raises(ConfigError, match='only its pooled feature.*final_norm=True'):
        build('eva02_tiny_patch14_224', img_size=56).forward_features(images((56, 56)))


@pytest.mark.parametrize(
    'name, message',
    [
        ('vit_tinny_patch16_224', "no model 'vit_tinny_patch16_224'; nearest: vit_tiny_patch16_224"),
        ('resnet18', "not of timm's VisionTransformer or Eva classes"),
    ],
)
def test_what_is_no_vit_of_timm_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        TimmViT(name)


def test_frozen_and_layer_ids_work_as_in_our_vit():
    vit = build('vit_tiny_patch16_224', frozen=True).train()
    assert not vit.model.training and not any(p.requires_grad for p in vit.parameters())
    ids = {name: vit.get_layer_depth(name)[0] for name, _ in vit.named_parameters()}
    assert ids['model.cls_token'] == ids['model.pos_embed'] == ids['model.patch_embed.proj.weight'] == 0
    assert ids['model.blocks.3.attn.qkv.weight'] == 4 and ids['model.norm.weight'] == 5
    assert build('vit_small_patch16_dinov3').get_layer_depth('model.reg_token') == (0, 6)
