"""Parameter groups of the published recipes, name by name, on real models of full size without memory."""

import golden
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from torch import nn

from cae_bench.errors import ConfigError
from cae_bench.probing.probes.attentive import RELEASED, AttentiveProbe
from cae_bench.registry import MODELS
from cae_bench.training.layer_decay import is_plain, param_groups

FINETUNE_NO_DECAY = ('backbone.pos_embed', 'backbone.cls_token')


def encoder_of(record, prefix='', **settings):
    """A ViT of the recorded depth and with the recorded kinds of parameters."""
    names = {n.removeprefix(prefix) for n in [*record['parameters'], *record['not_optimised']]}
    tables = any(n.endswith('relative_position_bias_table') for n in names)
    return dict(
        type='cae_bench.ViT',
        arch='base',
        num_layers=record['recipe']['layers'],
        rel_pos_bias='block' if tables else None,
        layer_scale='blocks.0.gamma_1' in names,
        **settings,
    )


def on_meta(*configs):
    with torch.device('meta'):
        return [MODELS.build(ConfigDict(c)) for c in configs]


def groups_by_name(model, groups):
    """Parameter name -> (layer, lr scale, weight decay), as the optimizer would apply them."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: (g['layer'], g['lr_scale'], g['weight_decay']) for g in groups for p in g['params']}


def assert_equal_to_record(ours, record):
    """Same names; exact layers and decays; the scale within 1e-12."""
    assert set(ours) == set(record['parameters'])
    for name, (layer, scale, decay) in record['parameters'].items():
        assert ours[name][0] == layer and ours[name][2] == decay, name
        assert ours[name][1] == pytest.approx(scale, rel=1e-12, abs=0), name


def groups_of(model, record, **rules):
    recipe = record['recipe']
    groups = param_groups(model, recipe['lr'], recipe['weight_decay'], layer_decay_rate=recipe['layer_decay'], **rules)
    for group in groups:
        assert group['lr'] == pytest.approx(recipe['lr'] * group['lr_scale'], rel=1e-12)
    return groups_by_name(model, groups)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('finetuning groups'))
def test_finetuning_groups_equal_the_record_and_spare_the_class_token(name):
    record = golden.record(name)
    (model,) = on_meta(
        dict(type='cae_bench.Classifier', num_classes=1000, fc_norm_init='encoder', backbone=encoder_of(record))
    )
    ours = groups_of(model, record, no_decay=FINETUNE_NO_DECAY)
    assert_equal_to_record({n.removeprefix('backbone.'): v for n, v in ours.items()}, record)
    assert ours['backbone.cls_token'][2] == 0
    tables = [v[2] for n, v in ours.items() if n.endswith('relative_position_bias_table')]
    assert set(tables) <= {record['recipe']['weight_decay']}


def as_released(ours):
    """The official dense models keep the pyramid in the backbone, here it is a neck; a list of necks is numbered."""
    renamed = {}
    for name, value in ours.items():
        for old, new in (
            ('neck.fpn1', 'backbone.fpn1'),
            ('neck.fpn2', 'backbone.fpn2'),
            ('neck.0.', 'backbone.'),
            ('neck.1.', 'neck.'),
        ):
            name = new + name.removeprefix(old) if name.startswith(old) else name
        renamed[name] = value
    return renamed


class Dense(nn.Module):
    """The attributes of an mmseg or mmdet model, under their names."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def pyramid():
    return dict(type='cae_bench.ViTPyramid', embed_dims=768, norm_cfg=dict(type='SyncBN'))


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('segmentation groups'))
def test_segmentation_groups_equal_the_record_and_decay_the_class_token(name):
    record = golden.record(name)
    norm = dict(type='SyncBN', requires_grad=True)
    common = dict(num_classes=150, norm_cfg=norm, align_corners=False)
    parts = on_meta(
        encoder_of(record, 'backbone.', final_norm=False),
        pyramid(),
        dict(type='mmseg.UPerHead', in_channels=[768] * 4, in_index=[0, 1, 2, 3], channels=768, **common),
        dict(
            type='mmseg.FCNHead', in_channels=768, in_index=2, channels=256, num_convs=1, concat_input=False, **common
        ),
    )
    model = Dense(**dict(zip(('backbone', 'neck', 'decode_head', 'auxiliary_head'), parts)))
    ours = groups_of(model, record)
    assert_equal_to_record(as_released(ours), record)
    assert ours['backbone.cls_token'][2] == record['recipe']['weight_decay']


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('detection groups'))
def test_detection_groups_equal_the_record(name):
    record = golden.record(name)
    bbox_head = dict(
        type='mmdet.ConvFCBBoxHead',
        num_shared_convs=4,
        num_shared_fcs=1,
        in_channels=256,
        num_classes=80,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    )
    parts = on_meta(
        encoder_of(record, 'backbone.', final_norm=False),
        pyramid(),
        dict(type='mmdet.FPN', in_channels=[768] * 4, out_channels=256, num_outs=5),
        dict(type='mmdet.RPNHead', in_channels=256, feat_channels=256),
        bbox_head,
        dict(type='mmdet.FCNMaskHead', num_convs=4, in_channels=256, conv_out_channels=256, num_classes=80),
    )
    backbone, pyramid_neck, fpn, rpn, bbox, mask = parts
    model = Dense(
        backbone=backbone,
        neck=nn.Sequential(pyramid_neck, fpn),
        rpn_head=rpn,
        roi_head=Dense(bbox_head=bbox, mask_head=mask),
    )
    assert_equal_to_record(as_released(groups_of(model, record)), record)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('pretraining groups'))
def test_pretraining_splits_the_recorded_names_without_sparing_any_token(name):
    record = golden.record(name)
    decay = record['recipe']['weight_decay']
    for name, (_, scale, recorded_decay) in record['parameters'].items():
        matrix = name.endswith(('token', 'weight')) and 'norm' not in name  # what is not 1-D in this model
        parameter = torch.empty([1] * (2 if matrix else 1), device='meta')
        assert (0.0 if is_plain(name, parameter) else decay) == recorded_decay and scale == 1.0, name


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('attentive names'))
def test_the_attentive_probe_trains_the_recorded_names(name):
    probe = AttentiveProbe(8, 3, cells=[{}], num_heads=2)
    trained = {n for n, p in probe.named_parameters() if p.requires_grad}
    assert {RELEASED[n] for n in golden.record(name)['trainable']} == trained


def small_model(**settings):
    return MODELS.build(
        dict(
            type='cae_bench.Classifier',
            num_classes=3,
            backbone=dict(
                type='cae_bench.ViT', embed_dims=16, num_layers=2, num_heads=2, patch_size=4, img_size=8, **settings
            ),
        )
    )


def build(model, **paramwise):
    return build_optim_wrapper(
        model,
        ConfigDict(
            type='OptimWrapper',
            constructor='cae_bench.LayerDecayOptimWrapperConstructor',
            accumulative_counts=2,
            optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.05),
            paramwise_cfg=paramwise,
        ),
    )


def test_the_constructor_builds_a_wrapper_by_name_with_every_trainable_parameter_once():
    model = small_model()
    wrapper = build(model, layer_decay_rate=0.5)
    grouped = [p for g in wrapper.optimizer.param_groups for p in g['params']]
    assert len(grouped) == len({id(p) for p in grouped}) == sum(p.requires_grad for p in model.parameters())
    assert {round(g['lr'], 6) for g in wrapper.optimizer.param_groups} == {0.1, 0.05, 0.025, 0.0125}
    assert wrapper._accumulative_counts == 2


def test_frozen_parameters_get_no_group():
    model = small_model()
    model.backbone.blocks[0].requires_grad_(False)
    ours = groups_by_name(model, build(model, layer_decay_rate=0.5).optimizer.param_groups)
    assert not [n for n in ours if n.startswith(('backbone.blocks.0', 'backbone.pos_embed', 'backbone.norm'))]
    assert 'backbone.blocks.1.norm1.weight' in ours


def test_a_rate_of_one_only_splits_by_weight_decay_and_asks_no_backbone():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    ours = groups_by_name(model, param_groups(model, 0.1, 0.05))
    assert {n: v[2] for n, v in ours.items()} == {'0.weight': 0.05, '0.bias': 0.0, '1.weight': 0.0, '1.bias': 0.0}
    assert {v[:2] for v in ours.values()} == {(0, 1.0)}


def test_a_backbone_that_knows_no_depth_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match='Sequential has no get_layer_depth. Use cae_bench.ViT, or layer_dec'):
        param_groups(Dense(backbone=nn.Sequential(nn.Linear(2, 2))), 0.1, 0.05, layer_decay_rate=0.5)


def test_detectron2_s_rule_spares_norms_and_named_tensors_alone():
    model = small_model()
    ours = groups_by_name(model, param_groups(model, 0.1, 0.05, decay_biases=True, no_decay=['backbone.cls_token']))
    spared = {name for name, value in ours.items() if value[2] == 0}
    assert spared == {name for name in ours if 'norm' in name} | {'backbone.cls_token'}
    assert ours['backbone.blocks.0.mlp.fc1.bias'][2] == ours['backbone.blocks.0.gamma_1'][2] == 0.05


def test_an_unknown_rule_is_refused():
    with pytest.raises(
        ConfigError,
        match=r"has no \['custom_keys'\]; it takes layer_decay_rate, head_lr_mult, no_decay and decay_biases",
    ):
        build(small_model(), custom_keys={})


def test_heads_learn_at_a_multiple_of_the_full_rate_and_the_backbone_does_not():
    (model,) = on_meta(
        dict(type='cae_bench.Classifier', num_classes=3, backbone=dict(type='cae_bench.ViT', arch='tiny'))
    )
    plain, raised = (
        groups_by_name(model, param_groups(model, 1e-3, 0.05, layer_decay_rate=0.5, head_lr_mult=m)) for m in (1.0, 6.0)
    )
    for name, (layer, scale, decay) in plain.items():
        assert raised[name] == (layer, scale * (1 if name.startswith('backbone.') else 6), decay), name
    assert raised['head.weight'][1] == 6 and raised['backbone.blocks.11.attn.qkv.weight'][1] == 0.5
    assert raised['backbone.patch_embed.proj.weight'][1] == 0.5**13
