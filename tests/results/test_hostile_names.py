"""Whatever a model, a data set's class, a metric or a source is called: a table shows it and obeys nothing in it."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from cae_bench.results import (
    FORMATS,
    Metric,
    build_table,
    compare,
    explain,
    list_models,
    load_records,
    render,
    write_record,
)

ESCAPES, BIDI = '\x1b[2J\x1b[31mcae\x9b0m', 'cae\u202etxt\u200b'
BREAKS = 'one\ntwo\tthree\r\x00\u2028four'
OBEYED = re.compile('[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]')


@pytest.fixture
def table_of(make, tmp_path):
    def build(name, **fields):
        for seed in (0, 1):
            write_record(tmp_path, make(model=name, seed=seed, **fields))
        return build_table(tmp_path)

    return build


@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('name', [ESCAPES, BIDI, BREAKS, 'file\udcff'])
def test_control_characters_are_shown_in_every_format_wherever_they_stand(table_of, format, name):
    table = table_of(name, arch=name, metrics={name: Metric(value=50.0)}, overrides={name: name})
    table = replace(table, title=name, sources=(name,), footnotes=(*table.footnotes, name))
    shown = render(table, format)
    assert not OBEYED.search(shown) and shown.encode()
    start = name[:3] if name[0] != '\x1b' else r'\x1b[2J' if format not in ('latex', 'json') else 'x1b'
    assert start in shown or format == 'json' and r'\u001b[2J' in shown


def test_a_line_break_in_a_name_makes_no_further_row(table_of):
    table = table_of('a\n| mae | measured | 99.9 |')
    lines = [line for line in render(table).splitlines() if line.startswith('|')]
    assert len(lines) == 3 and r'a\n\| mae \| measured \| 99.9 \|' in lines[2]
    assert len(list(csv.reader(io.StringIO(render(table, 'csv'))))) == 2


def test_json_keeps_the_true_name(table_of):
    assert json.loads(render(table_of(ESCAPES), 'json'))['rows'][0]['model'] == ESCAPES


@pytest.mark.parametrize('name', ['=cmd|calc!A1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '＝1'])
def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay_numbers(make, table_of, name):
    metrics = {'gap': Metric(value=-1.25, unit='nats')}
    rows = list(
        csv.reader(io.StringIO(render(table_of(name, arch=name, metrics=metrics, overrides={'a': name}), 'csv')))
    )
    for cell in (cell for row in rows for cell in row):
        assert cell[:1] not in ('=', '+', '@', '\t', '\r', '＝') and (cell[:1] != '-' or cell in ('-', '-1.25'))
    assert '-1.25' in rows[1] and rows[1][0].endswith(name.strip().lstrip('\t\r'))


def test_latex_takes_no_name_for_an_option_of_the_line_before(table_of):
    assert r'{}[3cm]x & ' in render(table_of('[3cm]x'), 'latex') and '{}*x & ' in render(table_of('*x'), 'latex')


def test_markdown_opens_no_tag(table_of):
    assert r'\<script>' in render(table_of('<script>alert(1)</script>'))


def test_a_comparison_and_the_list_of_models_show_control_characters(make, tmp_path):
    paths = [
        str(write_record(tmp_path, make(model=name, sha256=letter * 64, overrides={'a\x1b': name})))
        for name, letter in ((ESCAPES, 'a'), (BREAKS, 'b'))
    ]
    shown = explain(compare(*paths))
    assert not OBEYED.search(shown) and r'A = \x1b[2J' in shown and r'B = one\ntwo' in shown
    assert list_models(load_records(tmp_path))[0][0] == ESCAPES  # for programs; `ls models` prints it visibly
