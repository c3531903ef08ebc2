"""Fine-tuning: logits of the official models, initialisation, losses."""

import golden
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cae_bench.errors import ConfigError
from cae_bench.registry import MODELS


def tensors(arrays, prefix=''):
    return {k.removeprefix(prefix): torch.from_numpy(v) for k, v in arrays.items() if k.startswith(prefix)}


def build(dims, checkpoint=None, img_size=None, backbone=None, **settings):
    """A Classifier on a golden checkpoint, initialised as the runner does it, in eval mode."""
    backbone = dict(
        type='cae_bench.ViT', checkpoint=checkpoint, num_heads=dims['heads'], img_size=img_size, **backbone or {}
    )
    model = MODELS.build(dict(type='cae_bench.Classifier', backbone=backbone, num_classes=dims['classes'], **settings))
    model.init_weights()
    return model.eval()


@torch.no_grad()
def set_head(model, arrays, fc_norm=True):
    names = {'head.weight': 'head_weight', 'head.bias': 'head_bias'}
    if fc_norm:
        names |= {'fc_norm.weight': 'fc_norm_weight', 'fc_norm.bias': 'fc_norm_bias'}
    for name, recorded in names.items():
        model.get_parameter(name).copy_(arrays[recorded])


@torch.no_grad()
def assert_forward(model, images, feature, logits, tolerance):
    np.testing.assert_allclose(model.features(images), feature, **tolerance)
    if logits is not None:
        np.testing.assert_allclose(model(images), logits, **tolerance)


@pytest.mark.golden
@pytest.mark.parametrize('name, variant', golden.each_variant('finetune'))
def test_cae_finetuning_starts_from_the_encoder_norm_and_gives_the_recorded_logits(name, variant):
    case = golden.case(name)
    dims, data = case['dims'], tensors(golden.npz(case, 'fc_norm_weight'))
    images, tables = data[f'{variant}/images'], data.get(f'{variant}/tables')
    model = build(
        dims,
        str(golden.checkpoint(case)),
        images.shape[-1],
        fc_norm_init='encoder',
        backbone=dict(pos_embed_resize='rebuild', rel_pos_bias=None if tables is None else 'block'),
    )
    np.testing.assert_array_equal(model.fc_norm.weight.detach(), data['fc_norm_weight'])
    np.testing.assert_array_equal(model.fc_norm.bias.detach(), data['fc_norm_bias'])
    set_head(model, data, fc_norm=False)
    if tables is not None:
        for block, table in zip(model.backbone.blocks, tables, strict=True):
            block.attn.relative_position_bias_table.data.copy_(table)
    tolerance = golden.tolerance(case['tolerance'])
    assert_forward(model, images, data[f'{variant}/feature'], data[f'{variant}/logits'], tolerance)


@pytest.mark.golden
@pytest.mark.parametrize('name, size', golden.each_variant('mae'))
def test_mae_finetuning_gives_the_recorded_pooled_and_class_token_outputs(name, size):
    case = golden.case(name)
    data = tensors(golden.npz(case, 'fc_norm_weight'))
    images = data['images' if size == 'native' else f'{size}/images']
    checkpoint, tolerance = str(golden.checkpoint(case)), golden.tolerance(case['tolerance'])
    model = build(case['dims'], checkpoint, images.shape[-1])
    set_head(model, data)
    assert_forward(model, images, data[f'{size}/global_pool_feature'], data[f'{size}/global_pool_logits'], tolerance)
    model = build(case['dims'], checkpoint, images.shape[-1], pool='cls')
    assert_forward(model, images, data[f'{size}/cls_feature'], None, tolerance)


@pytest.mark.golden
@pytest.mark.parametrize('name, size', golden.each_variant('beit'))
def test_beit_finetuning_copies_the_shared_table_and_gives_the_recorded_outputs(name, size):
    case = golden.case(name)
    data = tensors(golden.npz(case, 'fc_norm_weight'))
    images = data['images' if size == 'native' else f'{size}/images']
    checkpoint = str(golden.checkpoint(case))
    tolerance = golden.tolerance(case['tolerance'], '' if size == 'native' else size)
    backbone = dict(rel_pos_bias='block')
    model = build(case['dims'], checkpoint, images.shape[-1], backbone)
    tables = [n for n, _ in model.named_parameters() if n.endswith('relative_position_bias_table')]
    assert len(tables) == case['dims']['depth']
    set_head(model, data)
    assert_forward(model, images, data[f'{size}/mean_pool_feature'], data[f'{size}/mean_pool_logits'], tolerance)
    model = build(case['dims'], checkpoint, images.shape[-1], backbone, pool='cls')
    assert_forward(model, images, data[f'{size}/cls_feature'], None, tolerance)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each('beit'))
def test_beit_with_the_encoder_norm_as_fc_norm_is_what_the_cae_script_makes_of_it(name):
    case = golden.case(name)
    data = tensors(golden.npz(case, 'fc_norm_weight'))
    model = build(
        case['dims'], str(golden.checkpoint(case)), backbone=dict(rel_pos_bias='block'), fc_norm_init='encoder'
    )
    feature = data['native/mean_pool_feature_ckpt_norm']
    assert_forward(model, data['images'], feature, None, golden.tolerance(case['tolerance']))


def small(**settings):
    torch.manual_seed(0)
    backbone = dict(type='cae_bench.ViT', embed_dims=16, num_layers=2, num_heads=2, patch_size=4, img_size=8)
    model = MODELS.build(dict(dict(type='cae_bench.Classifier', num_classes=5, backbone=backbone), **settings))
    model.init_weights()
    return model


def test_the_head_starts_with_a_deviation_of_2e_5_and_no_bias():
    model = small(num_classes=1000)
    assert model.head.weight.std().item() == pytest.approx(2e-5, rel=0.05)
    assert not model.head.bias.any()


def test_a_fresh_fc_norm_ignores_the_norm_of_the_checkpoint():
    model = small()
    torch.nn.init.uniform_(model.backbone.norm.weight)
    assert torch.equal(model.fc_norm.weight, torch.ones(16))


def test_with_mean_pooling_every_trained_parameter_gets_a_gradient():
    model = small(num_classes=5)
    torch.nn.init.normal_(model.head.weight)
    model.forward(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3]), mode='loss')['loss'].backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not model.backbone.norm.weight.requires_grad


def test_label_smoothing_is_that_of_soft_targets():
    model = small(label_smoothing=0.2)
    torch.nn.init.normal_(model.head.weight)
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 4, 2])
    targets = F.one_hot(labels, 5) * 0.8 + 0.2 / 5
    expected = -(targets * model(images).log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(model.loss(images, labels), expected)


def test_mixup_smooths_once_and_mixes_images_with_their_targets():
    model = small(label_smoothing=0.2, mix=dict(mixup_alpha=0.8, cutmix_alpha=0.0))
    torch.nn.init.normal_(model.head.weight)
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 4, 2])
    np.random.seed(3)
    ours = model.loss(images.clone(), labels)
    np.random.seed(3)
    np.random.rand()  # timm draws whether to mix, then how much
    share = np.random.beta(0.8, 0.8)
    targets = F.one_hot(labels, 5) * 0.8 + 0.2 / 5
    mixed = images * share + images.flip(0) * (1 - share)
    expected = -((targets * share + targets.flip(0) * (1 - share)) * model(mixed).log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(ours, expected)


def test_evaluation_neither_mixes_nor_smooths():
    model = small(label_smoothing=0.2, mix=dict(mixup_alpha=0.8)).eval()
    images = torch.randn(3, 3, 8, 8)
    samples = model(images, label=torch.tensor([3, 0, 1]), image=['a', 'b', 'c'], mode='predict')
    assert [(s['image'], s['label']) for s in samples] == [('a', 3), ('b', 0), ('c', 1)]
    torch.testing.assert_close(torch.stack([s['scores'] for s in samples]), model(images).softmax(-1))


def test_the_same_head_sits_on_a_timm_backbone():
    backbone = dict(type='cae_bench.TimmViT', name='vit_tiny_patch16_224', img_size=32)
    model = small(backbone=backbone, fc_norm_init='encoder')
    torch.nn.init.normal_(model.head.weight)
    model.forward(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]), mode='loss')['loss'].backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_pooling_by_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="pool='max', choose one of mean, cls"):
        small(pool='max')


def test_a_finetuned_file_without_encoder_norm_cannot_give_it_to_fc_norm():
    backbone = dict(
        type='cae_bench.ViT', embed_dims=16, num_layers=2, num_heads=2, patch_size=4, img_size=8, final_norm=False
    )
    with pytest.raises(ConfigError, match="no final norm; use pool='mean' and fc_norm_init='fresh'"):
        small(backbone=backbone, fc_norm_init='encoder')
