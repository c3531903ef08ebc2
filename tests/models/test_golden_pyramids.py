"""The official segmentation and detection backbones: taps, resized positions and the feature pyramid together."""

import golden
import numpy as np
import pytest
import torch

from cae_bench.models.positions import resized_rel_table
from cae_bench.models.pyramid import ViTPyramid
from cae_bench.models.vit import ViT

pytestmark = pytest.mark.golden


def build(case: dict, **settings) -> ViT:
    vit = ViT(
        checkpoint=str(golden.checkpoint(case)),
        num_heads=case['dims']['heads'],
        out_indices=case['dims']['out_indices'],
        final_norm=False,
        **settings,
    )
    vit.init_weights()
    return vit.eval()


def load(case: dict) -> dict[str, torch.Tensor]:
    return {k: torch.from_numpy(v) for k, v in golden.npz(case, 'extra/fpn1.0.weight').items()}


def fill(vit: ViT, neck: ViTPyramid, data: dict, tables: torch.Tensor | None) -> None:
    """What the checkpoint lacks: pyramid layers, layer scale of MAE, relative position tables."""
    extra = {k.removeprefix('extra/'): v for k, v in data.items() if k.startswith('extra/')}
    neck.load_state_dict({k: v for k, v in extra.items() if k.startswith('fpn')}, strict=True)
    state = {k: v for k, v in extra.items() if not k.startswith('fpn')}
    if tables is not None:
        state |= {f'blocks.{i}.attn.relative_position_bias_table': t for i, t in enumerate(tables)}
    assert not vit.load_state_dict(state, strict=False).unexpected_keys


def seen(images: torch.Tensor, patch_size: int) -> torch.Tensor:
    """What the official backbones see of an image: they drop rows and columns that fill no patch; ours pads them."""
    return images[..., : images.shape[-2] // patch_size * patch_size, : images.shape[-1] // patch_size * patch_size]


def check_levels(case: dict, vit: ViT, neck: ViTPyramid, data: dict, variant: str) -> None:
    for level, got in enumerate(neck.eval()(vit(seen(data[f'{variant}/images'], vit.patch_size)))):
        np.testing.assert_allclose(
            got.numpy(),
            data[f'{variant}/level{level}'].numpy(),
            **golden.tolerance(case['tolerance']),
            err_msg=f'{variant} level {level}',
        )


@pytest.mark.parametrize('name, variant', golden.each_variant('segmentation'))
@torch.no_grad()
def test_segmentation_pyramid_agrees(name, variant):
    case = golden.case(name)
    data = load(case)
    scale = dict(layer_scale=True) if any('gamma' in k for k in data) else {}
    images = seen(data[f'{variant}/images'], case['dims'].get('patch_size', 16))
    vit = build(case, img_size=tuple(images.shape[2:]), rel_pos_bias='block', **scale)
    neck = ViTPyramid(case['dims']['embed_dim'])
    fill(vit, neck, data, data.get(f'{variant}/rel_pos_tables'))
    if f'{variant}/pos_embed' in data:
        np.testing.assert_allclose(vit.pos_embed.numpy(), data[f'{variant}/pos_embed'].numpy(), rtol=1e-5, atol=1e-5)
    for block in vit.blocks if f'{variant}/rel_pos_table_from_checkpoint' in data else []:
        np.testing.assert_allclose(
            block.attn.relative_position_bias_table.numpy(),
            data[f'{variant}/rel_pos_table_from_checkpoint'].numpy(),
            rtol=1e-5,
            atol=1e-5,
        )
    check_levels(case, vit, neck, data, variant)


@pytest.mark.parametrize('name', golden.each('detection'))
@torch.no_grad()
def test_detection_pyramid_agrees_at_native_padded_and_unaligned_sizes(name):
    case = golden.case(name)
    data = load(case)
    vit = build(case, img_size=case['dims']['native_image_size'], runtime_pos_resize='scale_factor')
    neck = ViTPyramid(case['dims']['embed_dim'])
    fill(vit, neck, data, None)
    tolerance = golden.tolerance(case['tolerance'], 'pos-embed')
    np.testing.assert_allclose(vit.pos_embed.numpy(), data['pos_embed_after_load'].numpy(), **tolerance)
    variants = [k.removesuffix('/images') for k in data if k.endswith('/images')]
    assert variants
    for variant in variants:
        check_levels(case, vit, neck, data, variant)


@pytest.mark.parametrize('name', golden.each('positions'))
def test_relative_tables_resized_while_running_follow_the_loaders_spline(name):
    case = golden.case(name)
    data = {k: v for f in golden.held(case, '.npz') for k, v in golden.arrays(f).items()}
    tolerance = golden.tolerance(case['tolerance'], 'relative')
    compared = 0
    for name, table in data.items():
        source, _, target = name.partition('_to_')
        if name.startswith('rel_table_') and target:
            src, dst = (int(x.rsplit('_', 1)[-1]) for x in (source, target))
            got = resized_rel_table(torch.from_numpy(data[source]), (src, src), (dst, dst))
            np.testing.assert_allclose(got.numpy(), table, **tolerance)
            compared += 1
    assert compared
