"""--shorten scales whatever has a schedule, and is not said of anything else."""

import logging

import pytest
import shipped_configs

from cae_bench.errors import ConfigError
from cae_bench.paths import shipped
from cae_bench.results import fingerprint
from cae_bench.runs.fingerprint import scoring_parts
from cae_bench.runs.options import Options
from cae_bench.runs.overrides import check_options, overrides_of


def fitted(protocol, recipe='mini', **options):
    path = shipped('configs') / protocol / ('mini.py' if recipe == 'mini' else 'vit-base.py')
    return shipped_configs.fitted(path, 'random', 'vit-base', **options)


@pytest.mark.parametrize(
    'recipe, protocol, factor, epochs, warmup',
    [
        ('mini', 'linear', 0.5, 2, 0.25),
        ('mini', 'attentive', 0.1, 1, 0.125),
        ('mini', 'linear_multilayer', 0.5, 2, 0),
        ('paper', 'linear', 0.1, 9, 1.0),
        ('paper', 'attentive', 0.5, 45, 5.0),
    ],
)
def test_heads_on_frozen_features_are_shortened_and_their_warm_up_with_them(recipe, protocol, factor, epochs, warmup):
    cfg = fitted(protocol, recipe, shorten=factor)
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.model.probes[protocol].schedule.warmup_epochs == pytest.approx(warmup)
    assert overrides_of(cfg, Options(recipe=recipe, shorten=factor)) == {'shorten': factor}


@pytest.mark.parametrize('protocol', ['knn', 'knn_meanpool', 'fewshot_5'])
def test_one_pass_that_fills_a_bank_is_what_it_was_and_the_record_does_not_say_shortened(protocol):
    parts = []
    for factor in (1.0, 0.1):
        cfg, options = fitted(protocol, shorten=factor), Options(recipe='mini', shorten=factor)
        assert overrides_of(cfg, options) == {}
        parts.append(
            scoring_parts(
                cfg,
                shipped_configs.checkpoint('random', 'vit-base'),
                shipped_configs.described('image_folder'),
                options,
            )
        )
    assert fingerprint(parts[0]) == fingerprint(parts[1])


def test_tasks_without_a_schedule_refuse_it_and_beside_others_it_is_said_to_be_not_for_them(caplog):
    options = Options(recipe='mini', shorten=0.1)
    knn, linear = fitted('knn', shorten=0.1), fitted('linear', shorten=0.1)
    with pytest.raises(ConfigError, match='--shorten 0.1 changes no schedule of knn: leave it out'):
        check_options([knn], options)
    with caplog.at_level(logging.INFO, logger='cae_bench'):
        check_options([knn, linear], options)
    assert caplog.messages == ['--shorten 0.1: nothing to shorten in knn']


def test_a_factor_that_rounds_to_the_whole_schedule_changes_nothing_and_is_refused():
    with pytest.raises(ConfigError, match='--shorten 0.95 changes no schedule of linear'):
        check_options([fitted('linear', shorten=0.95)], Options(recipe='mini', shorten=0.95))
