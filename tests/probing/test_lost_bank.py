"""A feature bank that loses rows while its run is interrupted is filled again, and scores what it would have."""

import pytest
from frozen_runs import config, draw_images, run, scores

from cae_bench.probing.loop import FrozenTrainLoop


def accuracies(runner) -> dict:
    return {name: score for name, score in scores(runner).items() if name.startswith('knn/')}


@pytest.mark.parametrize('lost', [range(0), range(3, 30), range(48)])
def test_lost_rows_are_made_up_for_by_one_more_pass(tmp_path, monkeypatch, lost):
    data = draw_images(tmp_path / 'images')
    whole = accuracies(run(config('knn', data, tmp_path / 'whole')))
    make_up = FrozenTrainLoop._make_up_for_lost_rows
    before = []

    def lose_some(self):
        (bank,) = self.model.banks.values()
        before.append(bank.rows.copy())
        for i in lost:
            bank.rows[i], bank.labels[i] = 0, -1
        make_up(self)
        assert bank.complete
        assert abs(bank.rows - before[0]).max() < 1e-5

    monkeypatch.setattr(FrozenTrainLoop, '_make_up_for_lost_rows', lose_some)
    assert accuracies(run(config('knn', data, tmp_path / 'lost'))) == whole and len(before) == 1
