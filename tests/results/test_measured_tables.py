"""The tables of this repository are what its own records say, and every record holds what a stranger needs."""

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
def test_the_readme_shows_the_rows_of_the_table(suite):
    rows = [line for line in (RESULTS / f'{suite}.md').read_text().splitlines() if line.startswith('|')]
    assert len(rows) == 8 and '\n'.join(rows) in (ROOT / 'README.md').read_text()


def test_records_were_written_by_run_on_committed_code_and_name_no_place_of_a_machine():
    records = load_records(RESULTS)
    assert len(records) > 100
    for record in records:
        assert record.command.startswith('cae-bench run ') and record.git['commit'] and not record.git['dirty']
        assert record.model.sha256 or record.model.family == 'random'
        assert ' /' not in record.command and '=/' not in record.command
