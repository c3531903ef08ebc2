"""Every known layout is recognised by exactly one format file, converted in full and described by the right spec."""

import argparse
import json

import checkpoint_layouts as layouts
import pytest
import torch
from checkpoint_layouts import DEPTH, DIM, FORMATS, HEADS

from cae_bench.checkpoints import CheckpointError, describe, format_report, load

BUILDERS = pytest.mark.parametrize('build', FORMATS, ids=lambda b: b.__name__)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def saved(tmp_path, content, name='file.pth', **how):
    torch.save(content, tmp_path / name, **how)
    return tmp_path / name


@BUILDERS
def test_a_file_is_recognised_and_its_spec_derived_from_tensors(build, tmp_path):
    name, family, settings = FORMATS[build]
    ckpt = load(saved(tmp_path, {'model': build(), 'epoch': 3}), num_heads=HEADS)
    assert ckpt.report.format.startswith(name) and ckpt.spec.family == family
    assert (ckpt.spec.embed_dims, ckpt.spec.num_layers, ckpt.spec.num_heads) == (DIM, DEPTH, HEADS)
    assert {k: getattr(ckpt.spec, k) for k in settings} == settings
    assert ckpt.spec.img_size == settings.get('img_size', (64, 64)) and ckpt.spec.mlp_ratio == 4


@BUILDERS
def test_every_tensor_of_the_file_is_used_or_dropped_by_a_named_rule(build, tmp_path):
    sd = build()
    ckpt = load(saved(tmp_path, sd), num_heads=HEADS)
    assert set(ckpt.report.used) | set(ckpt.report.dropped) == set(sd)
    assert not set(ckpt.report.used) & set(ckpt.report.dropped) and all(ckpt.report.dropped.values())
    assert set(ckpt.report.used.values()) == set(ckpt.state_dict)
    for key, ours in ckpt.report.used.items():
        values = ckpt.state_dict[ours].flatten()  # deit3 gets a class row of zeros before the file's values
        assert torch.equal(values[-sd[key].numel() :], sd[key].flatten())


@BUILDERS
def test_blocks_and_patch_embedding_come_out_under_the_released_names(build, tmp_path):
    keys = set(load(saved(tmp_path, build()), num_heads=HEADS).state_dict)
    wanted = {
        'patch_embed.proj.weight',
        'patch_embed.proj.bias',
        'blocks.1.norm1.weight',
        'blocks.0.attn.qkv.weight',
        'blocks.1.attn.proj.bias',
        'blocks.0.norm2.bias',
        'blocks.1.mlp.fc1.weight',
        'blocks.0.mlp.fc2.bias',
    }
    assert wanted <= keys and not any('index' in key or key.startswith(('head', 'layers', 'backbone')) for key in keys)


@BUILDERS
def test_a_missing_block_tensor_is_named(build, tmp_path):
    sd = build()
    ends = ('blocks.1.attn.proj.weight', 'layers.1.attn.proj.weight')
    victim = next(k for k in sd if k.endswith(ends) and not k.startswith(('teacher', 'alignment')))
    del sd[victim]
    with pytest.raises(CheckpointError, match=r'1 tensor is missing: blocks\.1\.attn\.proj\.weight'):
        load(saved(tmp_path, sd), num_heads=HEADS)


def test_heads_are_the_published_ones_for_known_sizes():
    from cae_bench.checkpoints import _conversion as known

    assert known.CAE_HEADS == {(192, 12): 12, (384, 12): 12, (768, 12): 12, (1024, 24): 16}
    assert known.MAE_HEADS == {(768, 12): 12, (1024, 24): 16, (1280, 32): 16}
    assert known.TIMM_HEADS == {(192, 12): 3, (384, 12): 6, (768, 12): 12, (1024, 24): 16, (1280, 32): 16}


@pytest.mark.parametrize(('build', 'heads'), [(layouts.cae_encoder, 12), (layouts.timm_vit, 3)], ids=['cae', 'deit'])
def test_a_tiny_cae_has_twelve_heads_and_a_tiny_deit_three(build, heads, tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, 'DIM', 192)
    monkeypatch.setattr(layouts, 'DEPTH', 12)
    monkeypatch.setattr(layouts.block, '__defaults__', (True, True, False, 192, layouts.GRID))
    monkeypatch.setattr(layouts.norm, '__defaults__', (192,))
    ckpt = load(saved(tmp_path, build()))
    assert (ckpt.spec.arch, ckpt.spec.num_heads) == ('vit-tiny', heads)


def test_an_unpublished_size_asks_for_the_number_of_heads(tmp_path):
    with pytest.raises(CheckpointError, match=r'--num-heads N \(Python: num_heads=N\).*1 \(head width 24\), 2 \(head'):
        load(saved(tmp_path, layouts.cae()))


def test_a_number_of_heads_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='5 heads do not divide the width 24'):
        load(saved(tmp_path, layouts.cae()), num_heads=5)
    with pytest.raises(CheckpointError, match='asked for 4 heads, but its relative position tables have 3'):
        load(saved(tmp_path, layouts.beit()), num_heads=4)


def test_the_wrong_arch_is_refused_with_the_size_of_the_file(tmp_path):
    path = saved(tmp_path, layouts.cae())
    message = 'arch vit-base has width 768 and depth 12, but this file has width 24 and depth 2'
    with pytest.raises(CheckpointError, match=message):
        load(path, arch='vit-base')
    assert load(path, arch='vit-24x2x3').spec.num_heads == 3


@pytest.mark.parametrize(
    ('container', 'wrapper'),
    [
        ('model', ''),
        ('module', ''),
        ('state_dict', 'module.'),
        ('teacher', ''),
        (None, 'module.'),
        (None, '_orig_mod.'),
    ],
)
def test_containers_and_wrapper_prefixes_are_found_and_reported(container, wrapper, tmp_path):
    sd = {wrapper + k: v for k, v in layouts.beit().items()}
    ckpt = load(saved(tmp_path, {container: sd, 'optimizer': {'state': {}}, 'epoch': 1} if container else sd))
    assert ckpt.report.container.startswith(container or 'bare')
    assert ('stripped' in ckpt.report.container) == bool(wrapper)
    assert ckpt.report.others == (('optimizer', 'epoch') if container else ())
    assert set(ckpt.report.used) <= set(sd)


def test_safetensors_give_the_same_checkpoint(tmp_path):
    from safetensors.torch import save_file

    sd = layouts.beit()
    save_file(sd, tmp_path / 'file.safetensors')
    first, second = load(saved(tmp_path, sd)), load(tmp_path / 'file.safetensors')
    assert first.spec == second.spec
    assert all(torch.equal(tensor, second.state_dict[k]) for k, tensor in first.state_dict.items())


def test_half_precision_files_become_float32_and_are_independent_of_the_file(tmp_path):
    sd = layouts.beit()
    path = saved(tmp_path, {k: v.half() if v.is_floating_point() else v for k, v in sd.items()})
    ckpt = load(path)
    path.write_bytes(b'rewritten')
    assert all(v.dtype == torch.float32 for v in ckpt.state_dict.values())
    torch.testing.assert_close(ckpt.state_dict['cls_token'], sd['cls_token'].half().float())


def test_layer_scale_of_timm_and_a_class_row_of_zeros_take_the_released_form(tmp_path):
    sd = layouts.deit3()
    ckpt = load(saved(tmp_path, sd), num_heads=HEADS)
    assert torch.equal(ckpt.state_dict['blocks.1.gamma_2'], sd['blocks.1.ls2.gamma'])
    assert ckpt.state_dict['pos_embed'].shape == (1, 17, DIM) and not ckpt.state_dict['pos_embed'][:, 0].any()


@pytest.mark.parametrize(
    ('key', 'what'),
    [
        ('dist_token', 'a distillation token'),
        ('reg_token', 'register tokens'),
        ('storage_tokens', r'register tokens \(DINOv3\)'),
        ('rope_embed.periods', r'rotary positions \(DINOv3\)'),
        ('norm_pre.weight', 'a norm before the blocks'),
        ('blocks.0.attn.q_norm.weight', 'query and key'),
    ],
)
def test_a_vit_with_parts_that_ours_lacks_is_refused_with_the_part(key, what, tmp_path):
    with pytest.raises(CheckpointError, match=f'{key} means {what}.*timm:NAME'):
        load(saved(tmp_path, layouts.timm_vit() | {key: layouts.rand(1, 1, DIM)}), num_heads=HEADS)


def test_the_paddle_layout_is_recognised_and_refused_with_a_way_out(tmp_path):
    with pytest.raises(CheckpointError, match='Paddle layout.*Transpose them'):
        load(saved(tmp_path, layouts.under('encoder', layouts.vit()) | layouts.under('teacher_network', layouts.vit())))


def test_mae_and_other_plain_vits_of_the_same_keys_are_told_apart_by_values_and_this_is_reported(tmp_path):
    for build, word in ((layouts.mae_encoder, 'MAE'), (layouts.timm_vit, 'pos_embed learned')):
        notes = load(saved(tmp_path, build()), num_heads=HEADS).report.notes
        assert any(word in note and 'told by' in note for note in notes)
    assert not load(saved(tmp_path, layouts.mae_full()), num_heads=HEADS).report.notes


def test_a_vit_with_row_first_sincos_and_full_bias_is_not_called_mae(tmp_path):
    ckpt = load(saved(tmp_path, layouts.vit('row', qv=False, gamma=False)), num_heads=HEADS)
    assert (ckpt.spec.family, ckpt.spec.pos_embed) == ('timm', 'sincos_row')


@pytest.mark.parametrize('grid', [(3, 5), (5, 3), (6, 4), (2, 6)])
@pytest.mark.parametrize('order', ['row', 'col'])
def test_a_rectangular_grid_and_its_order_are_read_from_the_table(grid, order):
    from cae_bench.checkpoints._infer import grid_of_pos, kind_of_pos

    pos = layouts.sincos_2d(DIM, grid, order)
    assert grid_of_pos(pos[0, 1:], []) == grid and kind_of_pos(pos, grid) == f'sincos_{order}'


def test_pixel_statistics_come_from_the_training_arguments_where_the_file_has_them(tmp_path):
    for flag, mean in ((True, 0.485), (False, 0.5)):
        content = {'model': layouts.beit(), 'args': argparse.Namespace(imagenet_default_mean_and_std=flag)}
        ckpt = load(saved(tmp_path, content))
        assert ckpt.spec.mean[0] == mean
        assert ckpt.report.notes == (f'mean and std: told by args.imagenet_default_mean_and_std={flag}',)
        content['args'] = {'imagenet_default_mean_and_std': flag}
        assert load(saved(tmp_path, content)).spec.mean[0] == mean


def test_pixel_statistics_that_are_assumed_for_a_beit_file_are_reported_as_assumed(tmp_path):
    ckpt = load(saved(tmp_path, {'model': layouts.beit()}))
    assert ckpt.spec.mean == ckpt.spec.std == (0.5, 0.5, 0.5)
    assert any('0.5 assumed' in note and 'ImageNet-1k' in note for note in ckpt.report.notes)
    ours = load(saved(tmp_path, {'model': layouts.beit(), 'spec': dict(mean=(0.485, 0.456, 0.406))}))
    assert ours.spec.mean[0] == 0.485 and not any('assumed' in note for note in ours.report.notes)


def test_what_inspect_shows_is_json_and_reads_as_text(tmp_path):
    ckpt = load(saved(tmp_path, {'model': layouts.cae_finetuned(), 'optimizer': {}}, name='my_vit.pth'))
    told = json.loads(json.dumps(describe(ckpt)))
    assert told['name'] == 'my_vit' and told['family'] == 'cae' and told['spec']['num_heads'] == HEADS
    assert told['dropped']['classifier head'] == ['head.weight', 'head.bias'] and len(told['sha256']) == 64
    assert told['missing'] == dict.fromkeys(['norm.weight', 'norm.bias'], 'trained without a final norm')
    text = format_report(ckpt)
    assert all(x in text for x in ('width 24, depth 2, heads 3', '2  classifier head', 'norm.weight: trained without'))
