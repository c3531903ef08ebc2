"""`benchmarks/same_scores.py compare`: what it finds between two results folders."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from cae_bench.results import Metric, write_record

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks/same_scores.py'
COLUMNS = {'image': ['a', 'b'], 'correct': [True, False]}


@pytest.fixture
def compare(make, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location('same_scores', SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(after=(), columns=COLUMNS):
        """Exit code and text, for a record before and those after."""
        write_record(tmp_path / 'before', make(), COLUMNS)
        for record in after:
            write_record(tmp_path / 'after', record, columns)
        code = script.compare(tmp_path / 'before', tmp_path / 'after')
        return code, capsys.readouterr().out

    return run


def test_what_cannot_move_a_score_may_differ(make, compare):
    later = make(started='2026-11-24T08:00:00+00:00', wall_time_s=9.0, command='x', git={'commit': None, 'dirty': None})
    assert compare([later]) == (0, 'cae scenes/linear mini seed 0: the same\nevery record is the same\n')


@pytest.mark.parametrize(
    'change, line',
    [
        (dict(value=50.0000001), 'metrics.top1.value: 50.0 and 50.0000001'),
        (dict(ci95=(49.0, 51.0)), 'metrics.top1.ci95: null and [49.0, 51.0]'),
        (
            dict(metrics={'top1': Metric(value=50.0), 'top5': Metric(value=90.0)}),
            'metrics.top5: null and {"value": 90.0',
        ),
        (dict(selection={'by': 'paper', 'chosen': {'lr': 0.1}}), 'selection: null and {"by": "paper"'),
        (dict(config={'lr': 0.2}, fingerprint='f' * 64), 'config.lr: 0.1 and 0.2'),
    ],
)
def test_whatever_differs_is_printed(make, compare, change, line):
    code, text = compare([replace(make(), **change) if 'config' in change else make(**change)])
    assert code == 1 and f'\n  {line}' in text and text.endswith('1 records differ\n')


def test_fingerprints_are_compared_though_the_scores_are_the_same(make, compare):
    code, text = compare([make(data='data1')])
    assert code == 1 and '\n  fingerprint: ' in text and '\n  dataset.content_hash: "data0" and "data1"' in text


def test_images_are_compared_one_by_one(make, compare):
    code, text = compare([make()], dict(COLUMNS, correct=[True, True]))
    assert code == 1 and 'per image, correct: differs for 1 of 2 images' in text


def test_a_record_without_a_partner_is_a_difference(make, compare):
    code, text = compare([make(), make('scenes/knn')])
    assert code == 1 and 'cae scenes/knn mini seed 0: \n  there is no record of it before' in text


def test_an_empty_folder_is_no_agreement(compare):
    with pytest.raises(SystemExit, match='no records under .*/after'):
        compare()
