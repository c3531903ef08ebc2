"""The tables of this repository are what its own records say, and every record holds what a stranger needs."""

import json
from pathlib import Path

import pytest

from cae_bench.results import build_table, load_records, render

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'results'
SUITES = ('tiny_cifar10', 'tiny_scenes')


@pytest.mark.parametrize('suite', SUITES)
def test_a_table_is_generated_from_the_records(suite):
    """Write it anew with: cae-bench table --suite SUITE > results/SUITE.md"""
    assert (RESULTS / f'{suite}.md').read_text().strip() == render(
        build_table(RESULTS, suite=suite), 'markdown'
    ).strip()


@pytest.mark.parametrize('suite', SUITES)
def test_the_page_on_pretraining_shows_the_rows_of_the_table(suite):
    rows = [line for line in (RESULTS / f'{suite}.md').read_text().splitlines() if line.startswith('|')]
    assert len(rows) >= 6 and '\n'.join(rows) in (ROOT / 'docs/pretraining.md').read_text()


def test_records_were_written_by_run_on_committed_code_and_name_no_place_of_a_machine():
    records = load_records(RESULTS)
    assert len(records) > 100
    for record in records:
        assert record.command.startswith('cae-bench run ') and record.git['commit'] and not record.git['dirty']
        assert record.model.sha256 or record.model.family == 'random'
        assert ' /' not in record.command and '=/' not in record.command


def test_a_trained_encoder_is_above_its_architecture_with_random_weights_in_every_mini_protocol():
    """Outside the other's interval; docs/correctness.md shows the numbers."""
    scores = {True: {}, False: {}}
    for record in load_records(RESULTS / 'trained_and_random'):
        name = next(name for name in ('top1', 'mIoU', 'bbox_mAP') if name in record.metrics)
        scores[record.model.name.startswith('random-like-')][record.protocol] = record.metrics[name]
    assert len(scores[True]) == 16 and scores[True].keys() == scores[False].keys()
    for protocol, trained in scores[False].items():
        assert trained.ci95[0] > scores[True][protocol].ci95[1], protocol


def test_every_recorded_run_fits_the_whole_schema():
    from cae_bench.results.writing import check

    files = sorted((ROOT / 'results/measured').rglob('*.json'))
    for path in files:
        check(json.loads(path.read_text()), path)
    assert files
