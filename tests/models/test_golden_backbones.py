"""The official code's features, from its own checkpoint files. All sizes and names come from the golden manifest."""

import golden
import numpy as np
import pytest
import torch

from cae_bench import load_backbone
from cae_bench.models.vit import ViT

pytestmark = pytest.mark.golden


def build(case: dict, **settings) -> ViT:
    """A ViT with the weights of the case's checkpoint, in eval mode."""
    vit = ViT(checkpoint=str(golden.checkpoint(case)), num_heads=case['dims']['heads'], **settings)
    vit.init_weights()
    return vit.eval()


def arrays(case: dict) -> dict[str, torch.Tensor]:
    data = golden.npz(case, next(iter(case['arrays'])))
    return {k: torch.from_numpy(v) for k, v in data.items() if v.dtype.kind in 'fib'}


def close(got: torch.Tensor, want: torch.Tensor, case: dict, about: str = '') -> None:
    text = case['tolerance'] if isinstance(case['tolerance'], str) else case['tolerance'][about]
    np.testing.assert_allclose(got.detach().numpy(), want.numpy(), **golden.tolerance(text, about))


def set_tables(vit: ViT, tables: torch.Tensor) -> None:
    for block, table in zip(vit.blocks, tables, strict=True):
        block.attn.relative_position_bias_table.data.copy_(table)


def pooled(vit: ViT, images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Mean of the raw patch tokens, then fc_norm: the fine-tuning feature."""
    raw = vit.forward_tokens(images, [-1])[0][:, 1:].mean(1)
    return torch.nn.functional.layer_norm(raw, weight.shape, weight, bias, vit.spec.norm_eps)


@pytest.mark.parametrize('name', golden.each('linear'))
@torch.no_grad()
def test_cae_linear_feature_is_the_class_token_after_the_norm(name):
    case = golden.case(name)
    data = arrays(case)
    vit = load_backbone(str(golden.checkpoint(case)), num_heads=case['dims']['heads'])
    close(vit.forward_features(data['images'])[:, 0], data['feature'], case, 'feature')


@pytest.mark.parametrize('name', golden.each('attentive'))
@torch.no_grad()
def test_cae_attentive_tokens_agree(name):
    case = golden.case(name)
    data = arrays(case)
    close(build(case).forward_features(data['images']), data['tokens'], case, 'tokens')


@pytest.mark.parametrize('name', golden.each('cae_pretrain'))
@torch.no_grad()
def test_cae_encoder_agrees_on_visible_tokens_alone(name):
    case = golden.case(name)
    images, mask, want = (arrays(case)[k] for k in ('images', 'mask', 'encoder_out'))
    vit = build(case)
    tokens, grid = vit.embed(images)
    seen = torch.cat([torch.ones(len(mask), 1, dtype=torch.bool), ~mask], 1)
    visible = tokens[seen].view(len(tokens), -1, tokens.shape[-1])
    close(vit.norm(vit.encode(visible, grid, [vit.num_layers - 1])[0]), want, case, 'forward')


@pytest.mark.parametrize('name, variant', golden.each_variant('finetune'))
@torch.no_grad()
def test_cae_finetune_feature_is_the_normed_mean_of_patches(name, variant):
    case = golden.case(name)
    data = arrays(case)
    settings = dict(rel_pos_bias='block') if f'{variant}/tables' in data else {}
    if f'{variant}/pos_embed' in data:
        settings |= dict(img_size=tuple(data[f'{variant}/images'].shape[2:]), pos_embed_resize='rebuild')
    vit = build(case, **settings)
    if f'{variant}/tables' in data:
        set_tables(vit, data[f'{variant}/tables'])
    if f'{variant}/pos_embed' in data:
        close(vit.pos_embed, data[f'{variant}/pos_embed'], case)
    feature = pooled(vit, data[f'{variant}/images'], data['fc_norm_weight'], data['fc_norm_bias'])
    close(feature, data[f'{variant}/feature'], case)
    close(feature @ data['head_weight'].T + data['head_bias'], data[f'{variant}/logits'], case)
    torch.testing.assert_close(vit.norm.weight.data, data['fc_norm_weight'], rtol=0, atol=0)


@pytest.mark.parametrize('size', ['native', 'resized', 'resized while running'])
@pytest.mark.parametrize('name', golden.each('mae'))
@torch.no_grad()
def test_mae_features_agree(name, size):
    case = golden.case(name)
    data = arrays(case)
    vit = build(case, img_size=case['dims']['resized_image_size'] if size == 'resized' else None)
    at = size.split()[0]
    images = data['images'] if at == 'native' else data['resized/images']
    if size != 'resized while running':
        close(vit.pos_embed, data[f'{at}/pos_embed'], case)
    tokens = vit.forward_features(images)
    close(tokens[:, 0], data[f'{at}/cls_feature'], case)
    if at == 'native':
        close(tokens, data['encoder_tokens'], case)
    feature = pooled(vit, images, data['fc_norm_weight'], data['fc_norm_bias'])
    close(feature, data[f'{at}/global_pool_feature'], case)
    close(feature @ data['head_weight'].T + data['head_bias'], data[f'{at}/global_pool_logits'], case)


@pytest.mark.parametrize('tables', ['shared', 'block'])
@pytest.mark.parametrize('size', ['native', 'resized', 'resized while running'])
@pytest.mark.parametrize('name', golden.each('beit'))
@torch.no_grad()
def test_beit_features_agree(name, size, tables):
    case = golden.case(name)
    data = arrays(case)
    vit = build(case, rel_pos_bias=tables, img_size=case['dims']['resized_image_size'] if size == 'resized' else None)
    at = size.split()[0]
    if size != 'resized while running':
        for module in [vit.rel_pos_bias] if tables == 'shared' else [b.attn for b in vit.blocks]:
            close(module.relative_position_bias_table, data[f'{at}/rel_pos_table'], case, at)
    images = data['images'] if at == 'native' else data['resized/images']
    tokens = vit.forward_features(images)
    close(tokens[:, 0], data[f'{at}/cls_feature'], case, at)
    if at == 'native':
        close(tokens, data['encoder_tokens'], case)
        ckpt_norm = pooled(vit, images, vit.norm.weight, vit.norm.bias)
        close(ckpt_norm, data['native/mean_pool_feature_ckpt_norm'], case)
    close(pooled(vit, images, data['fc_norm_weight'], data['fc_norm_bias']), data[f'{at}/mean_pool_feature'], case, at)
