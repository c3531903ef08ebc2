"""Parameter groups of every family and size, base and large, by the rule itself: golden files hold CAE-B alone."""

import re

import pytest
from mmengine.optim import build_optim_wrapper
from shipped_configs import FILES, built, fitted, name_of

PROTOCOLS = ('finetune', 'upernet', 'mask_rcnn')
CASES = [
    pytest.param(p, *p.stem.rsplit('_', 1), id=name_of(p))
    for p in FILES
    if p.parent.name in PROTOCOLS and '_vit-' in p.stem
]
EMBEDDINGS = re.compile(r'backbone\.(cls_token|mask_token|pos_embed|patch_embed)')
BLOCK = re.compile(r'backbone\.blocks\.(\d+)\.')
SPARED = {'finetune': ('backbone.pos_embed', 'backbone.cls_token')}  # elsewhere the official rule never matches


def layer(name, depth):
    block = BLOCK.match(name)
    return 0 if EMBEDDINGS.match(name) else int(block[1]) + 1 if block else depth + 1


@pytest.mark.parametrize('path, family, arch', CASES)
def test_rates_fall_by_layer_and_only_vectors_biases_and_named_tokens_are_spared(path, family, arch):
    cfg = fitted(path, family, arch)
    model = built(cfg)
    depth, decay = (
        {'vit-tiny': 12, 'vit-small': 12, 'vit-base': 12, 'vit-large': 24}[arch],
        cfg.optim_wrapper.paramwise_cfg.layer_decay_rate,
    )
    tensors = dict(model.named_parameters())
    names = {id(tensor): name for name, tensor in tensors.items()}
    groups = {
        names[id(t)]: g
        for g in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
        for t in g['params']
    }
    assert set(groups) == {name for name, tensor in tensors.items() if tensor.requires_grad}
    for name, group in groups.items():
        scale = decay ** (depth + 1 - layer(name, depth))
        spared = tensors[name].ndim == 1 or name.endswith('.bias') or name in SPARED.get(path.parent.name, ())
        assert group['lr_scale'] == pytest.approx(scale, rel=1e-12, abs=0), name
        assert group['lr'] == pytest.approx(cfg.optim_wrapper.optimizer.lr * scale, rel=1e-12, abs=0), name
        assert group['weight_decay'] == (0 if spared else 0.05), name


@pytest.mark.parametrize('name, lowest', [('finetune/cae_vit-base', 3.697e-3), ('finetune/mae_vit-large', 7.525e-4)])
def test_the_scale_of_the_embeddings_is_the_published_one(name, lowest):
    path = next(p for p in FILES if name_of(p) == name)
    cfg = fitted(path, *path.stem.split('_', 1))
    groups = build_optim_wrapper(built(cfg), cfg.optim_wrapper).optimizer.param_groups
    assert min(g['lr_scale'] for g in groups) == pytest.approx(lowest, rel=2e-4)


@pytest.mark.parametrize('protocol, of_heads', [('finetune', 5e-4), ('upernet', 3e-3), ('mask_rcnn', 1e-3)])
def test_mini_moves_a_trained_encoder_gently_and_new_heads_fast(protocol, of_heads):
    """1e-3 throughout took a trained ViT-S/14 below random weights."""
    cfg = fitted(next(p for p in FILES if name_of(p) == f'{protocol}/mini'), 'random', 'vit-base')
    model = built(cfg)
    names = {id(tensor): name for name, tensor in model.named_parameters()}
    rates = {
        names[id(t)]: group['lr']
        for group in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
        for t in group['params']
    }
    assert rates['backbone.blocks.11.mlp.fc1.weight'] == pytest.approx(5e-4 * 0.65)
    assert rates['backbone.patch_embed.proj.weight'] == pytest.approx(5e-4 * 0.65**13)
    assert [rate for name, rate in rates.items() if not name.startswith('backbone.')][:1] == [pytest.approx(of_heads)]
    assert len({rate for name, rate in rates.items() if not name.startswith('backbone.')}) == 1
