"""What the speed measurement of dense tasks sets against each other does the same work; its report can be written."""

import sys
from pathlib import Path

import pytest
import torch

import cae_bench.registry  # noqa: F401

SPEED = Path(__file__).resolve().parents[2] / 'benchmarks/speed'


@pytest.fixture(scope='module')
def dense():
    sys.path.insert(0, str(SPEED))
    import dense

    yield dense
    sys.path.remove(str(SPEED))


def test_coco_statistics_of_both_packages_agree(dense):
    found = dense.dense_eval.measure_coco(20, 1)
    assert found['bbox']['largest_difference'] <= 1e-12 and 1 < found['segm']['ap'] < 99
    assert '| segm |' in '\n'.join(dense.coco_lines(found))


def test_counts_agree_with_mmseg_s_and_classes_with_those_chosen_at_once(dense):
    found = dense.dense_eval.measure_miou(2, 1, torch.device('cpu'), dense.take_turns)
    assert found['ratio'] > 0
    chosen = []
    for how in ('here', 'at once'):
        torch.manual_seed(0)
        chosen.append(dense.dense_eval.argmax(how, (600, 800), 5, torch.device('cpu')))
    assert torch.equal(*chosen)


@pytest.mark.parametrize('ours, stock', [('here, relative bias', 'mmseg BEiT'), ('here', 'mmseg MAE')])
def test_backbones_set_against_each_other_compute_the_same(dense, ours, stock):
    """Blocks are the same when their weights are: stock weights under our names give the stock's taps."""
    device = torch.device('cpu')
    networks = [dense.dense_train.build('upernet', name, 'tiny', (64, 64), device) for name in (ours, stock)]
    for network in networks:
        network.eval()
    here, there = (network.backbone for network in networks)
    state = there.state_dict()
    own = here.state_dict()
    with torch.no_grad():
        for i in range(len(here.blocks)):
            for mine, theirs in NAMES.items():
                source = state.get(f'layers.{i}.{theirs}')
                if f'blocks.{i}.{mine}' in own and source is not None:
                    own[f'blocks.{i}.{mine}'].copy_(source + 0.02 * torch.randn_like(source))
                    source.copy_(own[f'blocks.{i}.{mine}'])
        own['patch_embed.proj.weight'].copy_(state['patch_embed.projection.weight'])
        own['patch_embed.proj.bias'].copy_(state['patch_embed.projection.bias'])
        own['cls_token'].copy_(state['cls_token'])
        own['pos_embed'].copy_(state['pos_embed']) if 'pos_embed' in state else own['pos_embed'].zero_()
        images = torch.randn(1, 3, 64, 64)
        for a, b in zip(here(images), there(images), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


NAMES = {
    'norm1.weight': 'ln1.weight',
    'norm1.bias': 'ln1.bias',
    'norm2.weight': 'ln2.weight',
    'norm2.bias': 'ln2.bias',
    'attn.q_bias': 'attn.q_bias',
    'attn.v_bias': 'attn.v_bias',
    'attn.qkv.weight': 'attn.qkv.weight',
    'attn.qkv.bias': 'attn.qkv.bias',
    'attn.proj.weight': 'attn.proj.weight',
    'attn.proj.bias': 'attn.proj.bias',
    'attn.relative_position_bias_table': 'attn.relative_position_bias_table',
    'mlp.fc1.weight': 'ffn.layers.0.0.weight',
    'mlp.fc1.bias': 'ffn.layers.0.0.bias',
    'mlp.fc2.weight': 'ffn.layers.1.weight',
    'mlp.fc2.bias': 'ffn.layers.1.bias',
    'gamma_1': 'gamma_1',
    'gamma_2': 'gamma_2',
}


def test_a_report_tells_ratios_memory_and_costs(dense):
    names = list(dense.dense_train.CONTESTANTS)
    seconds = {name: 1.0 + i for i, name in enumerate(names)}
    found = dict(
        size=(512, 512),
        batch=2,
        date='2026-01-01',
        backbone={'fp32': seconds},
        bytes={'fp32': seconds},
        step={'fp32': seconds, 'bf16': seconds},
    )
    found['backbone']['bf16'] = found['bytes']['bf16'] = seconds
    text = dense.markdown(dict(machine='x', torch='2', arch='base', upernet=found))
    assert '| here, relative bias | fp32 | 1.000 (**2.00x**) | 1.000 (**2.00x**) | 0.00 (**0.50x**) |' in text
    assert 'Recomputed activations (fp32): 1.67x' in text and 'bf16 autocast: a step takes 1.00x' in text
