"""The interval, and which head of a grid is reported."""

import numpy as np
import pytest

from cae_bench.probing.accuracy import ProbeAccuracy
from cae_bench.probing.batch_statistics import BatchScores
from cae_bench.probing.history import HeldOutScores, PassHistory, ProbeHistory, Select, SharedSettings
from cae_bench.statistics.wilson import wilson


def test_wilson_interval_matches_worked_values_and_stays_inside_0_and_100():
    low, high = wilson(8, 10)  # centre and half width worked by hand
    assert low == pytest.approx(49.016, abs=0.01) and high == pytest.approx(94.332, abs=0.01)
    assert wilson(0, 50)[0] == 0.0 and wilson(50, 50)[1] == pytest.approx(100.0)
    assert wilson(0, 0) == (0.0, 100.0)


def validate(metric, epoch, right, diverged=None, held_out=None):
    """One validation of 10 images where cell g gets right[g] of them."""
    metric.history.epoch, probe = epoch, metric.history.probes['linear']
    probe.diverged, probe.held_out = diverged or probe.diverged, held_out
    for i in range(10):
        hit = np.array([i < r for r in right])
        metric.process({}, [dict(image=f'{i}.jpg', label=1, probes={'linear': (hit.astype(np.int32), hit)})])
    return metric.evaluate(10)


def history(select='best', cells=2):
    settings = SharedSettings(feature='cls', view='crop', pass_with=[], precision='float32')
    return ProbeHistory([dict(lr=0.1 * (i + 1)) for i in range(cells)], Select(select), settings)


@pytest.fixture
def start():
    def begin(select, cells=2):
        metric = ProbeAccuracy()
        metric.history = PassHistory({'linear': history(select, cells)})
        return metric

    return begin


def test_best_reports_the_best_head_and_epoch_beside_the_last(start):
    metric = start('best')
    validate(metric, 1, [3, 7])
    validate(metric, 2, [9, 4])
    out = validate(metric, 3, [5, 6])
    assert (out['linear/top1'], out['linear/top1_last']) == (90.0, 60.0)
    selection = metric.reports['linear'].selection
    assert selection['epoch'] == 2 and selection['chosen'] == dict(lr=0.1) and selection['by'] == 'paper'
    assert [row['top1_best'] for row in selection['curve']] == [90.0, 70.0]
    assert metric.reports['linear'].per_image.correct.sum() == 9  # predictions are those of the reported epoch
    assert metric.reports['linear'].ci95['top1'] == wilson(9, 10)


def test_last_reports_the_best_head_of_the_last_epoch(start):
    metric = start('last')
    validate(metric, 1, [10, 7])
    assert validate(metric, 2, [5, 6])['linear/top1'] == 60.0


def test_first_never_looks_at_validation_scores_to_choose(start):
    metric = start('first')
    out = validate(metric, 1, [3, 10])
    assert out['linear/top1'] == 30.0 and 'linear/top1_last' not in out


def test_held_out_images_choose_the_head_whose_validation_score_is_reported(start):
    metric = start('best')
    out = validate(metric, 1, [8, 9], held_out=HeldOutScores(20, [50.0, 40.0]))
    assert out['linear/top1'] == 90.0 and out['linear/top1_held_out'] == 80.0
    assert metric.reports['linear'].selection['held_out']['cell'] == dict(lr=0.1)


def test_a_diverged_head_is_never_chosen_and_is_named_in_the_curve(start):
    metric = start('best')
    out = validate(metric, 1, [3, 9], diverged=[False, True])
    assert out['linear/top1'] == 30.0
    assert [row['diverged'] for row in metric.reports['linear'].selection['curve']] == [False, True]


def test_a_probe_all_of_whose_heads_diverged_has_no_score(start):
    assert np.isnan(validate(start('best'), 1, [3, 9], diverged=[True, True])['linear/top1'])


class ByGroups:
    """A head that scores every image right by batch statistics, under two cells of which one is reported."""

    eval_batch_stats = dict(ranks=32, batch_size=384)

    def by_batch_statistics(self, pooled, labels):
        assert [None if p is None else p.tolist() for p in pooled] == [[[0.0]] * 2, None, [[2.0]] * 2, [[3.0]] * 2]
        predicted = np.stack([labels, np.zeros_like(labels)], 1)
        return BatchScores(
            predicted, predicted == labels[:, None], np.array([98.0, 50.0]), batches=2, repeats=1, alone=0
        )


def test_the_score_of_whole_groups_is_reported_and_that_of_running_statistics_beside_it(start):
    metric = start('best')
    metric.heads = {'linear': ByGroups()}
    for i in range(4):
        hit = np.array([i == 0, True])  # by running statistics: 1 of 3 and all
        metric.process(
            {},
            [
                dict(skipped='1.jpg')
                if i == 1
                else dict(
                    image=f'{i}.jpg',
                    label=1,
                    probes={'linear': (hit.astype(np.int32), hit)},
                    pooled={'linear': np.full((2, 1), i, np.float32)},
                )
            ],
        )
    metric.history.epoch = 1
    out = metric.evaluate(4)
    assert out['linear/top1'] == 100.0 and out['linear/top1_running_stats'] == pytest.approx(100 / 3)
    assert metric.reports['linear'].ci95['top1_running_stats'] == wilson(1, 3)
    assert metric.reports['linear'].per_image.images == ['0.jpg', '2.jpg', '3.jpg']
    assert metric.reports['linear'].per_image.correct.tolist() == [True] * 3
    assert metric.reports['linear'].selection['batch_statistics'] == dict(
        ranks=32, batch_size=384, batches=2, repeats=1, alone=0, top1_with_repeats=98.0
    )
