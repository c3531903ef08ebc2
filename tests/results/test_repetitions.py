"""Seeds of one cell: scored by one code, and by a protocol that a seed can move; or the table says otherwise."""

import csv
import io
import json

import pytest

from cae_bench.results import FORMATS, build_table, render, write_record
from cae_bench.results.code_versions import differing_code

OLD, NEW = ({'commit': letter * 40, 'dirty': False} for letter in 'cd')


@pytest.fixture
def table_of(tmp_path):
    def build(*records):
        for record in records:
            write_record(tmp_path, record)
        return build_table(tmp_path)

    return build


def test_code_that_differs_is_named_with_its_seeds(make):
    runs = [make(seed=0, git=OLD), make(seed=1, git=OLD), make(seed=2, git=NEW, packages={'torch': '2.13.0'})]
    assert differing_code(runs) == (
        'commit cccccccc (seeds 0, 1) and dddddddd (seed 2); torch 2.12.0 (seeds 0, 1) and 2.13.0 (seed 2)'
    )
    assert differing_code(runs[:2]) is None


@pytest.mark.parametrize(
    'change, said',
    [
        (
            dict(git={'commit': 'c' * 40, 'dirty': True}),
            'commit cccccccc (seed 0) and cccccccc with uncommitted changes (seed 1)',
        ),
        (dict(git={'commit': None, 'dirty': None}), 'commit cccccccc (seed 0) and unknown (seed 1)'),
        (dict(packages={'torch': '2.12.0', 'mmcv': '2.1'}), None),  # the first does not say which it had
        (dict(packages={'torch': '2.12.1'}), 'torch 2.12.0 (seed 0) and 2.12.1 (seed 1)'),
        (dict(wall_time_s=9.0, command='cae-bench run x'), None),
    ],
)
def test_what_counts_as_other_code(make, change, said):
    assert differing_code([make(), make(seed=1, **change)]) == said


def test_python_cannot_move_a_score_and_two_dirty_trees_are_never_known_to_be_one(make):
    python = [make(packages={'python': v, 'pyarrow': v, 'timm': '1'}, seed=i) for i, v in enumerate(('3.10', '3.12'))]
    assert differing_code(python) is None
    dirty = [make(git={'commit': 'c' * 40, 'dirty': True}, seed=i) for i in (0, 1)]
    assert differing_code(dirty) == 'commit cccccccc with uncommitted changes (seeds 0, 1)'


SAID = 'commit cccccccc (seed 0) and dddddddd (seed 1)'


def test_a_mean_over_different_code_is_marked_and_explained(make, table_of):
    table = table_of(
        make(value=10.0, git=OLD), make(value=24.4, git=NEW, seed=1), make(model='mae', value=5.0, git=NEW)
    )
    assert '| 17.2‡ ±10.2 (2) |' in render(table)
    assert table.footnotes[-1] == f'‡ seeds scored by different code, {SAID}. In cae: linear top-1.'
    assert [c.code for row in table.rows for c in row.cells.values()] == [SAID, None]


@pytest.mark.parametrize('format', FORMATS)
def test_every_format_says_so(make, table_of, format):
    shown = render(table_of(make(value=10.0, git=OLD), make(value=24.4, git=NEW, seed=1)), format)
    assert 'cccccccc' in shown and 'dddddddd' in shown
    assert {'csv': 'seeds scored by different code', 'json': f'"code": "{SAID}"', 'latex': r'17.2\ddag{}'}.get(
        format, '17.2‡'
    ) in shown


def test_one_footnote_names_all_cells_of_one_mixture(make, table_of):
    runs = [
        make(f'scenes/{protocol}', 10.0 + seed, model=model, git=git, seed=seed)
        for model in ('cae', 'mae')
        for protocol in ('linear', 'knn')
        for seed, git in enumerate((OLD, NEW))
    ]
    lines = [line for line in table_of(*runs).footnotes if line.startswith('‡')]
    assert lines == [
        f'‡ seeds scored by different code, {SAID}. In cae: k-NN top-1, linear top-1; mae: k-NN top-1, linear top-1.'
    ]


def test_seeds_that_agree_show_the_interval_over_images_and_not_zero(make, table_of):
    table = table_of(*[make('scenes/knn', 25.9, ci95=(24.0, 27.8), seed=seed) for seed in range(3)])
    assert '| 25.9 ±1.9 (3 equal) |' in render(table)
    assert table.footnotes[0] == (
        '(n equal): deterministic, n seeds agree; ± is half the 95 % confidence interval of one of '
        'them over the validation images.'
    )
    assert not any('standard deviation' in line for line in table.footnotes)
    cell = json.loads(render(table, 'json'))['rows'][0]['cells']['k-NN top-1']
    assert (cell['n'], cell['agree'], cell['ci95']) == (3, True, [24.0, 27.8]) and 'std' not in cell
    (row,) = csv.DictReader(io.StringIO(render(table, 'csv')))
    name = 'scenes/knn top1 (mini, v1)'
    assert (row[name], row[f'{name} ±'], row[f'{name} n'], row['notes']) == (
        '25.9',
        '1.9',
        '3',
        f'{name}: seeds agree, ± is of one run',
    )


def test_three_kinds_of_spread_stand_in_one_table_and_each_is_explained(make, table_of):
    knn = [make('scenes/knn', 25.9, ci95=(24.0, 27.8), seed=seed) for seed in (0, 1)]
    random = [
        make('scenes/knn', 20.0 + seed, model='random', sha256=None, ci95=(18.0, 22.0), seed=seed) for seed in (0, 1)
    ]
    table = table_of(*knn, *random, make('scenes/linear', 30.0, ci95=(28.0, 32.0)))
    shown = render(table)
    assert '25.9 ±1.9 (2 equal)' in shown and '20.5 ±0.7 (2)' in shown and '30.0 ±2.0 |' in shown
    assert [line.split(' ')[0:3] for line in table.footnotes] == [
        ['±', 'is', 'half'],
        ['±', 'with', '(n)'],
        ['(n', 'equal):', 'deterministic,'],
    ]


def test_equal_seeds_without_an_interval_have_no_spread(make, table_of):
    assert '| 25.9 (2 equal) |' in render(table_of(make(value=25.9), make(value=25.9, seed=1)))
