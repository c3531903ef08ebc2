"""How a checkpoint's tensors come into a ViT: strictly, last, and with every change and excuse on record."""

from dataclasses import replace

import pytest
import torch
from mmengine.model import BaseModule
from vits import BEIT, CAE, DEIT, FAMILIES, MAE, checkpoint_of, filled, images, random_vit

from cae_bench import load_backbone
from cae_bench.checkpoints.resize import sincos_2d
from cae_bench.errors import CheckpointError
from cae_bench.models.vit import ViT


@pytest.mark.parametrize('family', FAMILIES)
@torch.no_grad()
def test_weights_come_back_as_they_went(family):
    donor = random_vit(FAMILIES[family])
    vit = filled(checkpoint_of(donor))
    torch.testing.assert_close(vit.state_dict(), donor.state_dict(), rtol=0, atol=0)
    report = vit.load_report
    assert report.format == 'test' and (report.changed, report.left_out, report.excused) == ({}, {}, {})


@torch.no_grad()
def test_a_full_bias_becomes_q_and_v_biases_without_changing_the_features_and_back():
    mae = random_vit(MAE)
    split = filled(checkpoint_of(mae), qkv_bias='qv')
    torch.testing.assert_close(split(images()), mae(images()), rtol=1e-5, atol=1e-5)
    joined = filled(checkpoint_of(split), qkv_bias='full')
    torch.testing.assert_close(joined(images()), mae(images()), rtol=1e-5, atol=1e-5)
    assert split.load_report.changed['blocks.0.attn.q_bias'] == 'first third of qkv.bias'


def test_a_fixed_table_is_interpolated_or_rebuilt_and_the_two_differ():
    donor = checkpoint_of(random_vit(CAE))
    built, bent = (filled(donor, img_size=(96, 128), pos_embed_resize=rule) for rule in ('rebuild', 'interpolate'))
    torch.testing.assert_close(built.pos_embed.data, sincos_2d(32, (6, 8)))
    assert (bent.pos_embed - built.pos_embed).abs().mean() > 0.1 and not bent.pos_embed[:, 0].any()
    assert bent.load_report.changed == {'pos_embed': '4x4 -> 6x8, bicubic'}


@torch.no_grad()
def test_a_resized_table_gives_at_load_what_resizing_while_running_gives():
    for family in FAMILIES.values():
        donor = checkpoint_of(random_vit(family))
        x = images((96, 128))
        torch.testing.assert_close(filled(donor, img_size=(96, 128))(x), filled(donor)(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_beit_shared_rel_pos_bias_is_expanded_to_every_block():
    donor = random_vit(BEIT)
    vit = filled(checkpoint_of(donor), rel_pos_bias='block')
    torch.testing.assert_close(vit(images()), donor(images()))
    tables = [b.attn.relative_position_bias_table for b in vit.blocks]
    assert len({t.data_ptr() for t in tables}) == 4  # trained apart from here on
    assert vit.load_report.changed['blocks.3.attn.relative_position_bias_table'] == 'copied from the shared table'


def test_added_parameters_are_excused_by_name_and_start_without_effect():
    donor = random_vit(MAE)
    vit = filled(checkpoint_of(donor), rel_pos_bias='block', layer_scale_init_value=1.0)
    missing = vit.load_report.excused
    assert set(missing) == {
        f'blocks.{i}.{n}' for i in range(4) for n in ('gamma_1', 'gamma_2', 'attn.relative_position_bias_table')
    }
    assert missing['blocks.0.gamma_1'] == 'the file has no layer scale; it starts at 1.0'
    torch.testing.assert_close(vit(images()), donor(images()))
    assert vit.blocks[0].attn.relative_position_bias_table.requires_grad


@torch.no_grad()
def test_positions_can_be_added_to_a_file_without_and_learned_ones_kept_fixed():
    beit = filled(checkpoint_of(random_vit(BEIT)), pos_embed='sincos_row')
    torch.testing.assert_close(beit.pos_embed.data, sincos_2d(32, (4, 4)))
    assert 'pos_embed' in beit.load_report.excused
    donor = random_vit(DEIT)
    torch.testing.assert_close(
        filled(checkpoint_of(donor), pos_embed='sincos_row').pos_embed,
        donor.pos_embed,
        check_stride=False,
        rtol=0,
        atol=0,
    )


@torch.no_grad()
def test_tables_that_are_all_zero_may_be_left_out():
    donor = random_vit(dict(CAE, rel_pos_bias='block'))
    for block in donor.blocks:
        block.attn.relative_position_bias_table.zero_()
    vit = filled(checkpoint_of(donor), rel_pos_bias='none')
    torch.testing.assert_close(vit(images()), donor(images()))
    assert len(vit.load_report.left_out) == 4


@torch.no_grad()
def test_fc_norm_of_a_fine_tuned_file_serves_as_norm_only_when_asked():
    donor = random_vit(dict(CAE, final_norm=False))
    fc_norm = {'fc_norm.weight': torch.rand(32), 'fc_norm.bias': torch.rand(32)}
    assert filled(checkpoint_of(donor, **fc_norm)).norm is None
    vit = filled(checkpoint_of(donor, **fc_norm), final_norm=True)
    torch.testing.assert_close(vit.norm.weight.data, fc_norm['fc_norm.weight'])
    both = filled(checkpoint_of(random_vit(CAE), **fc_norm))
    assert not torch.equal(both.norm.weight, fc_norm['fc_norm.weight'])
    assert both.load_report.left_out == dict.fromkeys(fc_norm, 'belongs to the pooled feature')


@pytest.mark.parametrize(
    'spec, settings, message',
    [
        (CAE, dict(embed_dims=64), 'holds a vit-32x4 with embed_dims=32, the model is a vit-64x4'),
        (CAE, dict(num_layers=5), 'num_layers=4'),
        (CAE, dict(patch_size=8), 'patch_size=16'),
        (CAE, dict(layer_scale=False), 'has layer scale .* the model has none'),
        (CAE, dict(qkv_bias='none'), r'has qkv biases \(qv\), the model has none'),
        (CAE, dict(pos_embed='none'), 'has absolute positions'),
        (CAE, dict(pos_embed='sincos_col', img_size=96, pos_embed_resize='rebuild'), 'cannot be rebuilt'),
        (DEIT, dict(img_size=96, pos_embed_resize='rebuild'), "use pos_embed_resize='interpolate'"),
        (BEIT, dict(rel_pos_bias='none'), "has relative position tables .*asks for rel_pos_bias='none'"),
        (dict(CAE, rel_pos_bias='block'), dict(rel_pos_bias='shared'), "asks for rel_pos_bias='shared'"),
        (dict(CAE, final_norm=False), dict(final_norm=True), 'lacks norm.bias, norm.weight'),
    ],
)
def test_a_file_that_does_not_fit_is_refused(spec, settings, message):
    with pytest.raises(CheckpointError, match=f'donor.pth: .*{message}'):
        filled(checkpoint_of(random_vit(spec)), **settings)


def test_missing_extra_and_misshapen_tensors_are_named():
    ckpt = checkpoint_of(random_vit(CAE), surplus=torch.zeros(1))
    ckpt.state_dict['norm.bias'] = torch.zeros(31)
    del ckpt.state_dict['blocks.2.mlp.fc1.bias']
    with pytest.raises(CheckpointError) as error:
        filled(ckpt)
    for part in ('lacks blocks.2.mlp.fc1.bias', 'does not know: surplus', r'norm.bias (31,) (model: (32,))', 'inspect'):
        assert part in str(error.value)


class Host(BaseModule):
    """A model whose own init_cfg would overwrite the backbone's weights, were they not loaded last."""

    def __init__(self, backbone: ViT):
        super().__init__(init_cfg=dict(type='Constant', layer=['Linear', 'LayerNorm'], val=7.0))
        self.backbone = backbone


def test_init_weights_loads_the_file_last_so_that_nothing_overwrites_it(tmp_path):
    donor = random_vit(CAE)
    torch.save({'model': donor.state_dict()}, tmp_path / 'cae.pth')
    host = Host(ViT(checkpoint=str(tmp_path / 'cae.pth'), num_heads=2))
    assert host.backbone.spec.embed_dims == 32 and host.backbone.spec.img_size == (64, 64)
    host.init_weights()
    torch.testing.assert_close(host.backbone.state_dict(), donor.state_dict(), rtol=0, atol=0)


@torch.no_grad()
def test_load_backbone_gives_an_eval_model_from_a_file_or_a_name(tmp_path):
    donor = random_vit(CAE)
    torch.save(donor.state_dict(), tmp_path / 'cae.pth')
    vit = load_backbone(tmp_path / 'cae.pth', img_size=96, num_heads=2)
    assert not vit.training and vit.grid == (6, 6)
    torch.testing.assert_close(
        load_backbone(str(tmp_path / 'cae.pth'), num_heads=2).forward_features(images()),
        donor.forward_features(images()),
    )
    small = load_backbone('random:vit-32x2x2-p8', img_size=(16, 32))
    assert small.forward_features(images((16, 32))).shape == (2, 1 + 8, 32)


def test_a_model_only_timm_can_build_is_not_taken_for_random_weights():
    ckpt = replace(checkpoint_of(random_vit(CAE)), state_dict=None, timm_name='vit_small_patch14_reg4_dinov2')
    with pytest.raises(CheckpointError, match="TimmViT', name='vit_small_patch14_reg4_dinov2'"):
        filled(ckpt)


def test_a_file_of_another_arch_than_asked_for_is_refused_at_construction(tmp_path):
    torch.save(random_vit(CAE).state_dict(), tmp_path / 'cae.pth')
    with pytest.raises(CheckpointError, match='cae.pth: arch vit-base'):
        ViT(arch='base', checkpoint=str(tmp_path / 'cae.pth'), num_heads=2)
