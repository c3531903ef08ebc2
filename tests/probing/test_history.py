"""What a pass knows of its probes comes back from a checkpoint, also from one of an earlier version."""

import numpy as np
import pytest
import torch

from cae_bench.checkpoints import safe_load
from cae_bench.errors import CheckpointError
from cae_bench.probing.batch_statistics import BatchAccount
from cae_bench.probing.history import (
    KEY,
    CellValidation,
    HeldOutScores,
    PassHistory,
    ProbeHistory,
    Select,
    SharedSettings,
)
from cae_bench.probing.history_hook import HistoryInCheckpoints

SETTINGS = dict(
    feature='cls',
    view='crop',
    pass_with=['knn'],
    precision='float32',
    source='arXiv 2202.03026',
    batch_size=16,
    bn_group=8,
)
ACCOUNT = dict(ranks=32, batch_size=384, batches=2, repeats=1, alone=0, top1_with_repeats=98.0)


def history():
    """Two cells on four images: the second one is best in the first epoch, none in the second is better."""
    probe = ProbeHistory([dict(lr=0.1), dict(lr=0.2)], Select.BEST, SharedSettings(**SETTINGS))
    for epoch, right in ((1, (2, 3)), (2, (3, 1))):
        correct = np.array([[i < count for count in right] for i in range(4)])
        accounts = [BatchAccount(**ACCOUNT)] * 2
        probe.record(epoch, CellValidation(correct.astype(np.int32), correct, correct, [40.0, 60.0], accounts))
    probe.held_out, probe.validated = HeldOutScores(5, [20.0, 40.0]), 2
    return PassHistory({'linear': probe}, ['train/a/1.png'], 2)


def same(a, b):
    """Equal but for arrays, which are compared by their values."""
    np.testing.assert_equal(a.to_dict(), b.to_dict())


def test_a_history_comes_back_from_a_file_read_safely(tmp_path):
    torch.save({KEY: history().to_dict()}, tmp_path / 'iter_2.pth')
    loaded = PassHistory.from_checkpoint(safe_load.read(tmp_path / 'iter_2.pth'))
    same(loaded, history())
    probe = loaded.probes['linear']
    assert probe.select is Select.BEST
    assert (probe.selected.epoch, probe.selected.cell, probe.last.cell) == (1, 1, 0)
    assert probe.selected.batch_statistics == BatchAccount(**ACCOUNT)


def test_a_checkpoint_of_an_earlier_version_is_gone_on_from():
    now = history().probes['linear'].to_dict()
    page = dict(
        cells=now['cells'],
        select='best',
        shared=SETTINGS,
        epochs=now['epochs'],
        kept=dict(chosen=now['selected'], last=now['last']),
        diverged=[False, False],
        told=2,
        epoch=2,
        held_out=now['held_out'],
    )
    old = dict(frozen_history=dict(linear=page), frozen_skipped=['train/a/1.png'], epoch=1)
    loaded = PassHistory.from_checkpoint(dict(message_hub=dict(runtime_info=old)))
    loaded.epoch = 2  # set before each validation
    same(loaded, history())


def test_a_probe_of_an_earlier_version_that_was_not_scored_yet_has_no_scores():
    page = dict(cells=[{}], select='first', shared=SETTINGS, epochs=[], kept={}, diverged=[False], told=0)
    old = dict(frozen_history=dict(knn=page))
    probe = PassHistory.from_checkpoint(dict(message_hub=dict(runtime_info=old))).probes['knn']
    assert probe.selected is None and probe.held_out is None and not probe.validated


def test_a_checkpoint_without_a_history_says_how_to_start_again():
    hook = HistoryInCheckpoints(PassHistory())
    hook.after_load_checkpoint(None, dict(message_hub=dict(runtime_info={})))
    with pytest.raises(CheckpointError, match='work holds no scores of its probes.*--no-resume'):
        hook.resumed('work')
