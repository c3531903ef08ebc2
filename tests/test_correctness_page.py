"""docs/correctness.md names tests that exist: a renamed or deleted test makes the page wrong."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / 'docs/correctness.md'
TABLES = re.findall(r'(?m)^\| finding .*\n\|[|\s:-]+\n((?:\|.*\n)+)', PAGE.read_text(encoding='utf-8'))
ROWS = [row for table in TABLES for row in table.splitlines()]


@cache
def names_in(path: Path) -> set[str]:
    """Names of the test functions of a file, those of classes too."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith('test_')}


def missing(row: str) -> list[str]:
    """What a row names and nobody has; the row itself where it names no test."""
    named = re.findall(r'([\w/]+\.py)::(\w+)', row.rstrip(' |').rpartition(' | ')[2])
    absent = [
        f'{file}::{name}'
        for file, name in named
        if not (path := TESTS / file.removeprefix('tests/')).is_file() or name not in names_in(path)
    ]
    return absent if named else [f'no test: {row}']


def test_every_finding_of_the_page_names_tests_that_exist():
    assert len(TABLES) == 6 and len(ROWS) > 60
    assert not [name for row in ROWS for name in missing(row)]


@pytest.mark.parametrize(
    'cell, count',
    [
        ('test_correctness_page.py::test_every_finding_of_the_page_names_tests_that_exist', 0),
        ('tests/test_correctness_page.py::test_gone', 1),
        ('test_gone.py::test_a', 1),
        ('seen by hand', 1),
    ],
)
def test_a_row_without_an_existing_test_is_found(cell, count):
    assert len(missing(f'| a finding | wrong | right | {cell} |')) == count
