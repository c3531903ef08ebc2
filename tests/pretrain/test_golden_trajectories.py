"""Optimizer steps of CAE pretraining against the official loop: groups, schedule, clipping, moments."""
import golden
import numpy as np
import pytest
import torch
from golden_cae import build, loaded, of_file, tensors

from cae_bench.checkpoints import safe_load
from cae_bench.engine.layer_decay import LayerDecayOptimWrapperConstructor
from cae_bench.engine.schedules import cosine_table_value
from cae_bench.models.pretrain.cae import CAE

pytestmark = pytest.mark.golden


def optimizer_of(model, recipe: dict, amp: str = 'fp32'):
    """As the recipes write it: fused AdamW, one group that decays and one that does not."""
    config = dict(type='cae_bench.PretrainOptimWrapper', amp=amp, max_norm=recipe['clip_grad_norm'],
                  optimizer=dict(type='AdamW', lr=recipe['lr'], betas=recipe['betas'], eps=recipe['eps'],
                                 weight_decay=recipe['weight_decay'], fused=True))
    return LayerDecayOptimWrapperConstructor(config)(model)


def names_of(model, group: dict) -> list[str]:
    names = {id(p): n for n, p in model.named_parameters()}
    return [names[id(p)] for p in group['params']]


def train(model, wrapper, recipe: dict, schedule: dict, batches: list[dict], first: int = 0) -> list[dict]:
    total = schedule['epochs'] * schedule['niter_per_ep']
    warmup = schedule['warmup_epochs'] * schedule['niter_per_ep']
    model.train()                                        # drop path is 0 in these cases
    rows = []
    for step, batch in enumerate(batches, start=first):
        lr = cosine_table_value(step, total, warmup, recipe['lr'], recipe['min_lr'])
        for group in wrapper.optimizer.param_groups:
            group['lr'] = lr
        with wrapper.optim_context(model):
            loss, parts = model.parse_losses(model.losses(batch['images'], batch['mask'], batch['target_ids']))
        wrapper.update_params(loss)
        rows.append({k: v.item() for k, v in parts.items()} | dict(lr=lr, grad_norm=float(wrapper.grad_norm)))
    return rows


def batch_of(io: dict, number: int) -> dict:
    t = tensors(io)
    return {name: t[f'{name}_{number}'] for name in ('images', 'mask', 'target_ids')}


def compare(rows: list[dict], expected: list[dict], losses: dict, norm: dict) -> None:
    for row, official in zip(rows, expected, strict=True):
        for name in ('loss', 'loss_main', 'loss_align'):
            assert row[name] == pytest.approx(official[name], rel=losses['rtol']), name
        assert row['lr'] == pytest.approx(official['lr'], rel=1e-9)
        assert row['grad_norm'] == pytest.approx(official['grad_norm'], rel=norm['rtol'])
        assert row['token_acc'] == pytest.approx(100 * official['mlm_acc'], abs=1e-3)


def test_six_steps_from_a_fresh_optimizer_follow_the_official_trajectory():
    entry, told = golden.case('cae_pretrain_traj'), golden.load_json('cae_pretrain_traj.json')
    model, _ = loaded(entry['dims'], of_file(golden.case('cae_pretrain'), '_ckpt'))
    recipe = dict(told['optimizer'])
    wrapper = optimizer_of(model, recipe)
    by_decay = {group['weight_decay']: names_of(model, group) for group in wrapper.optimizer.param_groups}
    assert by_decay == {recipe['weight_decay']: told['decay_group'], 0.0: told['no_decay_group']}
    io = golden.arrays(of_file(entry, '.npz'))
    rows = train(model, wrapper, recipe, told['schedule'], [batch_of(io, i % 2) for i in range(len(told['steps']))])
    about = entry['tolerance']
    compare(rows, told['steps'], golden.tolerance(about['losses']), golden.tolerance(about['grad_norm']))
    final = dict(model.named_parameters())
    for name in (k.removeprefix('final/') for k in io if k.startswith('final/')):
        np.testing.assert_allclose(final[name].detach().numpy(), io[f'final/{name}'],
                                   **golden.tolerance(about['final_parameters']))
    check_stats(final, told['final_parameter_stats'], golden.tolerance(about['final_stats'])['rtol'])


def check_stats(final: dict, stats: dict, rtol: float) -> None:
    for name, expected in stats.items():
        if 'norm1_k.bias' not in name:                   # its true gradient is zero: Adam moves it by rounding noise
            assert final[name].norm().item() == pytest.approx(expected['l2'], rel=rtol, abs=1e-3), name


def test_official_moments_are_taken_over_and_the_next_two_steps_follow():
    entry, told = golden.case('cae_pretrain_proj'), golden.load_json('cae_pretrain_resume_proj.json')
    model, content = loaded(entry['dims'], of_file(entry, '_ckpt'))
    official = content['optimizer']
    group = official['param_groups'][0]
    recipe = dict(lr=1.5e-3, min_lr=1e-5, betas=list(group['betas']), eps=group['eps'],
                  weight_decay=float(group['weight_decay']), clip_grad_norm=3.0)
    wrapper = optimizer_of(model, recipe)
    wrapper.optimizer.load_state_dict(
        dict(state=official['state'],
             param_groups=[
                 dict(g, params=o['params'])
                 for g, o in zip(wrapper.optimizer.state_dict()['param_groups'], official['param_groups'])
             ]))
    io = golden.arrays(of_file(entry, '_resume_proj.npz'))
    numbers = sorted({int(k.rpartition('_')[2]) for k in io if k.startswith('images')})
    rows = train(model, wrapper, recipe, told['schedule'], [batch_of(io, i) for i in numbers], told['start_step'])
    tolerance = golden.tolerance(entry['tolerance']['resume_losses'])
    compare(rows, told['steps'], tolerance, dict(rtol=1e-3))
    check_stats(dict(model.named_parameters()), told['final_parameter_stats'], 1e-3)


def test_base_model_decays_what_the_official_recipe_decays():
    golden.case('layer_decay')
    told = golden.load_json('layer_decay.json')['pretrain_cae_base']
    with torch.device('meta'):
        model = CAE(dict(arch='base', family='cae'), dict(type='cae_bench.GivenCodes', codes=8192))
    wrapper = optimizer_of(model, dict(lr=told['lr'], weight_decay=.05, betas=[.9, .999], eps=1e-8, clip_grad_norm=3.))
    decay = {name: g['weight_decay'] for g in wrapper.optimizer.param_groups for name in names_of(model, g)}
    assert decay == {name: row[2] for name, row in told['parameters'].items()}
    assert sum(p.numel()
               for p in model.parameters() if p.requires_grad) == 148_681_472  # protocols of the official code


def test_half_precision_follows_the_trajectory_loosely():
    entry, told = golden.case('cae_pretrain_traj'), golden.load_json('cae_pretrain_traj.json')
    io = golden.arrays(of_file(entry, '.npz'))
    for amp in ('bf16', 'fp16'):
        model, _ = loaded(entry['dims'], of_file(golden.case('cae_pretrain'), '_ckpt'))
        wrapper = optimizer_of(model, told['optimizer'], amp)
        rows = train(model, wrapper, told['optimizer'], told['schedule'], [batch_of(io, i % 2) for i in range(3)])
        assert [r['loss'] for r in rows] == pytest.approx([s['loss'] for s in told['steps'][:3]], rel=0.03), amp
        assert rows[0]['grad_norm'] == pytest.approx(told['steps'][0]['grad_norm'], rel=0.05)
