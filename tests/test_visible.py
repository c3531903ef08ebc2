import json

import pytest

from cae_bench.logs import visible, visible_lines
from cae_bench.results.escaping import csv_text, json_escaped, markdown_text


@pytest.mark.parametrize(
    'text, shown',
    [
        ('vit-tiny ±1.2 (3) – ä 漢', 'vit-tiny ±1.2 (3) – ä 漢'),
        ('a\x1b[31mred', r'a\x1b[31mred'),
        ('a\x9b31m', r'a\x9b31m'),
        ('a\nb\tc\rd', r'a\nb\tc\rd'),
        ('\x00\x7f', r'\x00\x7f'),
        ('user\u202etxt.exe', r'user\u202etxt.exe'),
        ('a\u200bb\ufeff', r'a\u200bb\ufeff'),
        ('a\u2028b', r'a\u2028b'),
        ('\udcff', r'\udcff'),
        ('\U000e0041', r'\U000e0041'),
    ],
)
def test_what_is_obeyed_instead_of_shown_becomes_an_escape(text, shown):
    assert visible(text) == shown


def test_two_names_that_look_alike_are_told_apart():
    assert visible('cae\u200b') != visible('cae')


def test_breaks_between_lines_of_a_longer_text_stay():
    assert visible_lines('error: a\x07\nremedy\r') == 'error: a\\x07\nremedy\\r'


def test_json_keeps_its_values():
    value = {'name': 'a\x9b31m\u202e\x1b\n\x7f\udcff ä', 'n': [1.5, -2]}
    text = json_escaped(json.dumps(value, indent=1, ensure_ascii=False))
    assert json.loads(text) == value and text == visible_lines(text) and 'ä' in text


@pytest.mark.parametrize(
    'text, cell',
    [
        ('=1+1', "'=1+1"),
        ('+1', "'+1"),
        ('-1.2', "'-1.2"),
        ('@SUM(A1)', "'@SUM(A1)"),
        (' =1', "' =1"),
        ('\t=1', r'\t=1'),
        ('\r=1', r'\r=1'),
        ('＝1', "'＝1"),
        ('a=1', 'a=1'),
        ('', ''),
        ('  ', '  '),
    ],
)
def test_no_text_is_a_formula(text, cell):
    assert csv_text(text) == cell


@pytest.mark.parametrize(
    'text, cell',
    [
        ('a|b', r'a\|b'),
        ('a\\|b', r'a\\\|b'),
        ('<img src=x>', r'\<img src=x>'),
        ('p < 0.05', 'p < 0.05'),
        ('![x](http://a/b)', r'![x]\(http://a/b)'),
        ('a\nb', r'a\nb'),
        ('[1] source', '[1] source'),
    ],
)
def test_a_name_stays_in_its_markdown_cell(text, cell):
    assert markdown_text(text) == cell
