"""The time left, by hand, and the validations that are still to come."""

from types import SimpleNamespace

import pytest
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from cae_bench.training.progress import Progress, validations_left


def progress(first=0, validated=()):
    hook = Progress('task')
    hook.first_iter, hook.validated = first, list(validated)
    return hook


def test_the_time_left_counts_validations_once_one_was_timed():
    # 30 updates in 60 s without the validation of 120 s: 70 more take 140 s, two more validations 240 s
    assert progress(validated=[120.0]).time_left(180.0, 30, 100, 2) == '6.3 min left'
    assert progress(validated=[100.0, 140.0]).time_left(300.0, 30, 100, 0) == '2.3 min left'


def test_before_the_first_validation_the_line_says_that_it_is_not_counted():
    assert progress().time_left(60.0, 30, 100, 3) == '2.3 min of training left, and 3 validations'
    assert progress().time_left(60.0, 30, 100, 1) == '2.3 min of training left, and 1 validation'
    assert progress().time_left(60.0, 30, 100, 0) == '2.3 min left'


def test_a_resumed_run_counts_its_own_updates_only():
    assert progress(first=20).time_left(60.0, 50, 100, 0) == '1.7 min left'  # 30 in 60 s, 50 to go


@pytest.mark.parametrize(
    'kind, now, end, interval, left',
    [
        (IterBasedTrainLoop, 0, 9, 3, 3),
        (IterBasedTrainLoop, 2, 9, 3, 3),
        (IterBasedTrainLoop, 3, 9, 3, 2),
        (IterBasedTrainLoop, 3, 10, 3, 3),
        (EpochBasedTrainLoop, 0, 2, 1, 2),
        (EpochBasedTrainLoop, 11, 12, 12, 1),
    ],
)
def test_validations_left_are_those_the_loop_will_come_to(kind, now, end, interval, left):
    loop = kind.__new__(kind)
    loop.val_interval = interval
    by = dict(iter=now, max_iters=end) if kind is IterBasedTrainLoop else dict(epoch=now, max_epochs=end)
    assert validations_left(SimpleNamespace(train_loop=loop, val_loop=True, **by)) == left
    assert validations_left(SimpleNamespace(train_loop=loop, val_loop=None, **by)) == 0
