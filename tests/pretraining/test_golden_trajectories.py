"""Optimizer steps of CAE pretraining against the official loop: groups, schedule, clipping, moments."""

import golden
import numpy as np
import pytest
import torch
from golden_cae import loaded, tensors

from cae_bench.pretraining.methods.cae import CAE
from cae_bench.training.layer_decay import LayerDecayOptimWrapperConstructor
from cae_bench.training.schedules import cosine_table_value

pytestmark = pytest.mark.golden


def optimizer_of(model, recipe: dict, amp: str = 'fp32'):
    """As the recipes write it: fused AdamW, one group that decays and one that does not."""
    config = dict(
        type='cae_bench.PretrainOptimWrapper',
        amp=amp,
        max_norm=recipe['clip_grad_norm'],
        optimizer=dict(
            type='AdamW',
            lr=recipe['lr'],
            betas=recipe['betas'],
            eps=recipe['eps'],
            weight_decay=recipe['weight_decay'],
            fused=True,
        ),
    )
    return LayerDecayOptimWrapperConstructor(config)(model)


def names_of(model, group: dict) -> list[str]:
    names = {id(p): n for n, p in model.named_parameters()}
    return [names[id(p)] for p in group['params']]


def train(model, wrapper, recipe: dict, schedule: dict, batches: list[dict], first: int = 0) -> list[dict]:
    total = schedule['epochs'] * schedule['niter_per_ep']
    warmup = schedule['warmup_epochs'] * schedule['niter_per_ep']
    model.train()  # drop path is 0 in these cases
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


def batches_of(io: dict) -> list[dict]:
    t = tensors(io)
    numbers = sorted(int(k.rpartition('_')[2]) for k in t if k.startswith('images_'))
    return [{name: t[f'{name}_{number}'] for name in ('images', 'mask', 'target_ids')} for number in numbers]


def compare(rows: list[dict], expected: list[dict], losses: dict, norm: dict) -> None:
    for row, official in zip(rows, expected, strict=True):
        for name in ('loss', 'loss_main', 'loss_align'):
            assert row[name] == pytest.approx(official[name], rel=losses['rtol']), name
        assert row['lr'] == pytest.approx(official['lr'], rel=1e-9)
        assert row['grad_norm'] == pytest.approx(official['grad_norm'], rel=norm['rtol'])
        assert row['token_acc'] == pytest.approx(100 * official['mlm_acc'], abs=1e-3)


@pytest.fixture(params=golden.each('cae_trajectory'))
def trajectory(request):
    """(manifest's entry, recorded steps and recipe, arrays, the batch of every step)."""
    entry = golden.case(request.param)
    record, io = golden.json_with(entry, 'decay_group'), golden.npz(entry, 'images_0')
    batches = batches_of(io)
    return entry, record, io, [batches[i % len(batches)] for i in range(len(record['steps']))]


def test_steps_from_a_fresh_optimizer_follow_the_official_trajectory(trajectory):
    entry, record, io, batches = trajectory
    model, _ = loaded(entry)
    recipe = dict(record['optimizer'])
    wrapper = optimizer_of(model, recipe)
    by_decay = {group['weight_decay']: names_of(model, group) for group in wrapper.optimizer.param_groups}
    assert by_decay == {recipe['weight_decay']: record['decay_group'], 0.0: record['no_decay_group']}
    rows = train(model, wrapper, recipe, record['schedule'], batches)
    about = entry['tolerance']
    compare(rows, record['steps'], golden.tolerance(about['losses']), golden.tolerance(about['grad_norm']))
    final, names = dict(model.named_parameters()), [k.removeprefix('final/') for k in io if k.startswith('final/')]
    assert names
    for name in names:
        np.testing.assert_allclose(
            final[name].detach().numpy(), io[f'final/{name}'], **golden.tolerance(about['final_parameters'])
        )
    check_stats(final, record['final_parameter_stats'], golden.tolerance(about['final_stats'])['rtol'])


def check_stats(final: dict, stats: dict, rtol: float) -> None:
    for name, expected in stats.items():
        if 'norm1_k.bias' not in name:  # its true gradient is zero: Adam moves it by rounding noise
            assert final[name].norm().item() == pytest.approx(expected['l2'], rel=rtol, abs=1e-3), name


def ends_of_schedule(schedule: dict, rates: dict[int, float]) -> tuple[float, float]:
    """(base, minimum) of a cosine table from its values at some steps; no file of a resumed run holds them.

    The table is linear in both, so two rates give them and every further one is a test of its shape.
    """
    length = schedule['epochs'] * schedule['niter_per_ep'], schedule['warmup_epochs'] * schedule['niter_per_ep']
    shares = [
        [cosine_table_value(step, *length, 1.0, 0.0), cosine_table_value(step, *length, 0.0, 1.0)] for step in rates
    ]
    return tuple(np.linalg.lstsq(np.array(shares), np.array(list(rates.values())), rcond=None)[0])


@pytest.mark.parametrize('name', golden.resumed())
def test_official_moments_are_taken_over_and_the_next_steps_follow(name):
    entry = golden.case(name)
    record = golden.json_with(entry, 'start_step')
    model, content = loaded(entry)
    official, first = content['optimizer'], record['start_step']
    group = max(official['param_groups'], key=lambda g: g['weight_decay'])
    rates = {first - 1: float(group['lr'])} | {first + i: step['lr'] for i, step in enumerate(record['steps'])}
    lr, min_lr = ends_of_schedule(record['schedule'], rates)
    recipe = dict(
        lr=lr,
        min_lr=min_lr,
        betas=list(group['betas']),
        eps=group['eps'],
        weight_decay=float(group['weight_decay']),
        clip_grad_norm=content['args'].clip_grad,
    )
    wrapper = optimizer_of(model, recipe)
    wrapper.optimizer.load_state_dict(
        dict(
            state=official['state'],
            param_groups=[
                dict(g, params=o['params'])
                for g, o in zip(wrapper.optimizer.state_dict()['param_groups'], official['param_groups'])
            ],
        )
    )
    rows = train(model, wrapper, recipe, record['schedule'], batches_of(golden.npz(entry, 'images_0')), first)
    tolerance = golden.tolerance(entry['tolerance']['resume_losses'])
    compare(rows, record['steps'], tolerance, dict(rtol=1e-3))
    check_stats(dict(model.named_parameters()), record['final_parameter_stats'], 1e-3)


def depth_of(names: list[str], stack: str) -> int:
    return len({n.split('.')[2] for n in names if n.startswith(stack)})


@pytest.mark.parametrize('name', golden.each_record('pretraining groups'))
def test_a_whole_model_decays_what_the_official_recipe_decays(name):
    record = golden.record(name)
    names, recipe = list(record['parameters']), record['recipe']
    width = recipe['decoder_embed_dim']
    projected = any(n.startswith('encoder_to_regresser') for n in names)  # the encoder is of another width
    with torch.device('meta'):
        model = CAE(
            dict(
                embed_dims=width * 2 if projected else width,
                num_heads=4,
                family='cae',
                num_layers=depth_of(names, 'encoder.blocks.'),
            ),
            dict(type='cae_bench.GivenCodes', codes=64),
            decoder_embed_dims=width,
            decoder_num_heads=4,
            regressor_depth=depth_of(names, 'regresser.regressor_blocks.'),
            decoder_depth=depth_of(names, 'decoder.decoder_blocks.'),
        )
    wrapper = optimizer_of(model, dict(recipe, betas=[0.9, 0.999], eps=1e-8, clip_grad_norm=3.0))
    decay = {name: g['weight_decay'] for g in wrapper.optimizer.param_groups for name in names_of(model, g)}
    assert decay == {name: row[2] for name, row in record['parameters'].items()}


def test_base_model_has_as_many_trained_parameters_as_the_official_one():
    with torch.device('meta'):
        model = CAE(dict(arch='base', family='cae'), dict(type='cae_bench.GivenCodes', codes=8192))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 148_681_472


def test_half_precision_follows_the_trajectory_loosely(trajectory):
    entry, record, _, batches = trajectory
    steps = record['steps'][:3]
    for amp in ('bf16', 'fp16'):
        model, _ = loaded(entry)
        wrapper = optimizer_of(model, record['optimizer'], amp)
        rows = train(model, wrapper, record['optimizer'], record['schedule'], batches[: len(steps)])
        assert [r['loss'] for r in rows] == pytest.approx([s['loss'] for s in steps], rel=0.03), amp
        assert rows[0]['grad_norm'] == pytest.approx(steps[0]['grad_norm'], rel=0.05)
