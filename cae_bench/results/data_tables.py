"""A table for programs: csv and json."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from .columns import Column
from .escaping import csv_text, json_escaped
from .rows import Cell, Row
from .table import Table


def to_csv(table: Table) -> str:
    """One line a row, numbers and columns' names in full; a missing one is a dash. `±` and `n` follow where known."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator='\n').writerow
    spread = _with_spread(table)
    heads = [head for column in table.columns for head in _csv_heads(column, column in spread)]
    write(['model', 'arch', 'epochs', 'source', *heads, 'notes'])
    for row in table.rows:
        labels = [csv_text(row.model), csv_text(row.arch) if row.arch else '-', row.epochs or '-']
        cells = [part for c in table.columns for part in _csv_cell(row.cells.get(c), c in spread)]
        write([*labels, csv_text(_citation(table, row)), *cells, csv_text('; '.join(_csv_notes(row)))])
    return out.getvalue().rstrip('\n')


def to_json(table: Table) -> str:
    """Everything there is to know of each cell; a missing one is null."""
    data = {
        'title': table.title,
        'caption': list(table.caption),
        'columns': [{'head': head, **asdict(column)} for column, head in zip(table.columns, table.heads)],
        'rows': [_json_row(row, table) for row in table.rows],
        'sources': list(table.sources),
        'footnotes': list(table.footnotes),
    }
    return json_escaped(json.dumps(data, indent=1, ensure_ascii=False))


def _with_spread(table: Table) -> set[Column]:
    """Columns in which some cell has a number after ±."""
    return {column for row in table.rows for column, cell in row.cells.items() if cell.spread is not None}


def _csv_heads(column: Column, spread: bool) -> list[str]:
    heads = [column.name, f'{column.name} ±', f'{column.name} n'] if spread else [column.name]
    return [csv_text(head) for head in heads]


def _csv_cell(cell: Cell | None, spread: bool) -> list[str]:
    if cell is None:
        return ['-'] * (3 if spread else 1)
    value = f'{cell.value:.10g}'
    if not spread:
        return [value]
    return [value, f'{cell.spread:.10g}' if cell.spread is not None else '-', str(cell.n)]


def _csv_notes(row: Row) -> Iterator[str]:
    for column, cell in row.cells.items():
        if cell.secondary:
            yield f'{column.name}: secondary source'
    for column, cell in row.cells.items():
        if cell.setting:
            yield f'{column.name}: {cell.setting}'
    for column, cell in row.cells.items():
        if cell.code:
            yield f'{column.name}: seeds scored by different code, {cell.code}'
    for column, cell in row.cells.items():
        if cell.agree:
            yield f'{column.name}: seeds agree, ± is of one run'


def _citation(table: Table, row: Row) -> str:
    if row.measured:
        return row.source
    numbers = {cell.source for cell in row.cells.values() if cell.source is not None}
    return '; '.join(table.sources[number - 1] for number in sorted(numbers))


def _json_row(row: Row, table: Table) -> dict[str, Any]:
    return {
        'model': row.model,
        'arch': row.arch,
        'epochs': row.epochs,
        'source': row.source,
        'measured': row.measured,
        'cells': {head: _json_cell(row.cells.get(c), row) for c, head in zip(table.columns, table.heads)},
    }


def _json_cell(cell: Cell | None, row: Row) -> dict[str, Any] | None:
    if cell is None:
        return None
    known = {name: value for name, value in asdict(cell).items() if value not in (None, '', ()) and value is not False}
    return {'kind': 'measured' if row.measured else 'published'} | known | {'secondary': cell.secondary}
