"""Learning rates against the recorded tables of the official code."""

import golden
import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from cae_bench.errors import ConfigError
from cae_bench.registry import PARAM_SCHEDULERS
from cae_bench.training import schedules

RTOL = 1e-9


def warmup_length(table):
    """The official function takes a number of steps, if given, before a number of epochs."""
    steps = table['warmup_steps']
    return steps if steps > 0 else table['warmup_epochs'] * table['iters_per_epoch']


def cosine(table, step):
    total = table['epochs'] * table['iters_per_epoch']
    return schedules.cosine_table_value(
        step, total, warmup_length(table), table['base'], table['final'], table.get('start_warmup_value', 0.0)
    )


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('cosine'))
def test_cosine_tables_hold_the_recorded_values_of_every_recipe(name):
    table = golden.record(name)
    n = table['iters_per_epoch']
    first = [cosine(table, e * n) for e in range(table['epochs'])]
    last = [cosine(table, e * n + n - 1) for e in range(table['epochs'])]
    np.testing.assert_allclose(first, table['first_iter_of_epoch'], rtol=RTOL)
    np.testing.assert_allclose(last, table['last_iter_of_epoch'], rtol=RTOL)
    for step, value in table['probes'].items():
        assert cosine(table, int(step)) == pytest.approx(value, rel=RTOL, abs=0)
    if table['length'] <= 50_000:  # a table of half a million steps takes a while
        assert sum(cosine(table, i) for i in range(table['length'])) == pytest.approx(table['sum'], rel=RTOL)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('full cosine'))
def test_small_cosine_tables_agree_at_every_step(name):
    table = golden.record(name)
    np.testing.assert_allclose([cosine(table, i) for i in range(len(table['values']))], table['values'], rtol=RTOL)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('fractional'))
def test_linear_probing_follows_the_fractional_epoch_without_a_floor(name):
    table = golden.record(name)
    n = table['iters_per_epoch']
    for column, offset in {'first': 0, 'middle': n // 2, 'last': n - 1}.items():
        settings = table['absolute_lr'], table['epochs'], table['warmup_epochs'], table['min_lr']
        values = [schedules.fractional_epoch_lr(e + offset / n, *settings) for e in range(table['epochs'])]
        np.testing.assert_allclose(values, table[f'{column}_iter_of_epoch'], rtol=RTOL)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('poly'))
def test_poly_with_warmup_is_the_product_of_both_as_in_mmcv_1(name):
    t = golden.record(name)
    for i, value in t['lr_at_iter'].items():
        ours = schedules.poly_with_warmup(
            int(i), t['base'], t['max_iters'], t['warmup_iters'], t['warmup_ratio'], t['power'], t['min_lr']
        )
        assert ours == pytest.approx(value, rel=RTOL, abs=0)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('step'))
def test_step_with_warmup_holds_the_recorded_values(name):
    t = golden.record(name)
    milestones = [e * t['iters_per_epoch'] for e in t['step_epochs']]
    for i, value in t['lr_at_iter'].items():
        ours = schedules.step_with_warmup(
            int(i), t['base'], milestones, t['gamma'], t['warmup_iters'], t['warmup_ratio']
        )
        assert ours == pytest.approx(value, rel=RTOL, abs=0)


def two_groups(base, scale, accumulation=1):
    """A real optimizer with a plain group and one whose learning rate is held at `scale` of the schedule."""
    groups = [
        dict(params=[torch.nn.Parameter(torch.ones(1))], lr=base),
        dict(params=[torch.nn.Parameter(torch.ones(1))], lr=base * scale, lr_scale=scale),
    ]
    return OptimWrapper(torch.optim.SGD(groups, lr=base), accumulative_counts=accumulation)


def walked(optim, scheduler, steps, epoch_length=1):
    """Learning rates of the two groups that `steps` training iterations really saw."""
    scheduler = PARAM_SCHEDULERS.build(dict(scheduler), default_args=dict(optimizer=optim, epoch_length=epoch_length))
    seen = []
    for _ in range(steps):
        seen.append([g['lr'] for g in optim.optimizer.param_groups])
        loss = sum(g['params'][0].sum() for g in optim.optimizer.param_groups)
        optim.update_params(loss)
        scheduler.step()
    return np.array(seen)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('full cosine'))
def test_cosine_scheduler_walks_the_recorded_tables_and_scales_a_group_with_its_minimum(name):
    t = golden.record(name)
    length = dict(warmup_iters=t['warmup_steps'], end=len(t['values']), by_epoch=False)
    if t['warmup_steps'] < 0:
        length = dict(warmup_epochs=t['warmup_epochs'], end=t['epochs'], convert_to_iter_based=True)
    seen = walked(
        two_groups(t['base'], 0.25),
        dict(type='cae_bench.WarmupCosineLR', min_lr=t['final'], **length),
        len(t['values']),
        t['iters_per_epoch'],
    )
    np.testing.assert_allclose(seen[:, 0], t['values'], rtol=RTOL)
    np.testing.assert_allclose(seen[:, 1], np.array(t['values']) * 0.25, rtol=RTOL)


def test_the_first_step_of_a_cosine_schedule_trains_with_exactly_zero():
    seen = walked(two_groups(0.1, 0.5), dict(type='cae_bench.WarmupCosineLR', warmup_iters=3, end=9, by_epoch=False), 2)
    assert seen[0].tolist() == [0.0, 0.0] and seen[1].tolist() == [0.05, 0.025]


def test_under_accumulation_the_cosine_moves_once_per_update():
    plain = walked(
        two_groups(0.1, 0.5), dict(type='cae_bench.WarmupCosineLR', warmup_iters=4, end=12, by_epoch=False), 12
    )
    twice = walked(
        two_groups(0.1, 0.5, accumulation=2),
        dict(type='cae_bench.WarmupCosineLR', warmup_iters=8, end=24, by_epoch=False),
        24,
    )
    np.testing.assert_array_equal(np.repeat(plain, 2, axis=0), twice)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('fractional'))
def test_fractional_cosine_scheduler_walks_the_recorded_linear_probe(name):
    t = golden.record(name)
    n = t['iters_per_epoch']
    seen = walked(
        two_groups(t['absolute_lr'], 1.0),
        dict(
            type='cae_bench.FractionalCosineLR',
            warmup_epochs=t['warmup_epochs'],
            min_lr=t['min_lr'],
            end=t['epochs'],
            convert_to_iter_based=True,
        ),
        t['epochs'] * n,
        n,
    )
    np.testing.assert_allclose(seen[::n, 0], t['first_iter_of_epoch'], rtol=RTOL)
    np.testing.assert_allclose(seen[n - 1 :: n, 0], t['last_iter_of_epoch'], rtol=RTOL)


def test_poly_scheduler_multiplies_warmup_and_decay():
    seen = walked(two_groups(1.0, 0.1), dict(type='cae_bench.WarmupPolyLR', warmup_iters=4, end=10, by_epoch=False), 10)
    warm = [(1 - (1 - i / 4) * (1 - 1e-6)) if i < 4 else 1.0 for i in range(10)]
    expected = np.array(warm) * (1 - np.arange(10) / 10)
    np.testing.assert_allclose(seen, np.stack([expected, expected * 0.1], 1), rtol=RTOL)


def test_step_scheduler_takes_milestones_in_epochs_and_warmup_in_iterations():
    seen = walked(
        two_groups(1.0, 0.1),
        dict(type='cae_bench.WarmupStepLR', milestones=[2, 3], warmup_iters=2, end=4, convert_to_iter_based=True),
        12,
        epoch_length=3,
    )
    expected = [0.001, 0.5005, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01]
    np.testing.assert_allclose(seen[:, 0], expected, rtol=RTOL)
    np.testing.assert_allclose(seen[:, 1], np.array(expected) * 0.1, rtol=RTOL)


def test_a_resumed_schedule_goes_on_where_it_stopped():
    config = dict(type='cae_bench.WarmupCosineLR', warmup_iters=2, end=8, by_epoch=False)
    optim = two_groups(0.1, 0.5)
    whole = walked(two_groups(0.1, 0.5), config, 8)
    first = PARAM_SCHEDULERS.build(dict(config), default_args=dict(optimizer=optim))
    for _ in range(4):
        first.step()
    optim = two_groups(0.1, 0.5)
    second = PARAM_SCHEDULERS.build(dict(config), default_args=dict(optimizer=optim))
    second.load_state_dict(first.state_dict())
    second.step()
    assert [g['lr'] for g in optim.optimizer.param_groups] == pytest.approx(whole[5])


def test_a_warmup_longer_than_the_schedule_is_refused():
    with pytest.raises(ConfigError, match='warm-up of 20 iterations does not fit into a schedule of 10; shorten'):
        walked(two_groups(1.0, 1.0), dict(type='cae_bench.WarmupPolyLR', warmup_iters=20, end=10, by_epoch=False), 1)


def test_an_epoch_based_schedule_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match='add convert_to_iter_based=True'):
        walked(two_groups(1.0, 1.0), dict(type='cae_bench.WarmupCosineLR', end=10, by_epoch=True), 1)
