"""A table as short strings: what every format that people read shows of it."""

from collections.abc import Callable
from dataclasses import dataclass

from ..logs import visible
from .rows import Cell, Row
from .table import Table

DASH = '–'


@dataclass(frozen=True)
class Grid:
    """Strings without control characters; arch and epochs only where some row has them."""

    head: list[str]
    rows: list[list[str]]
    labels: int  # so many columns name the row: text, set to the left; the others are numbers, set to the right

    @property
    def lines(self) -> list[list[str]]:
        return [self.head, *self.rows]


def grid_of(table: Table) -> Grid:
    labels = _labels(table)
    rows = [_line(row, table, labels) for row in table.rows]
    return Grid([*labels, *map(visible, table.heads)], rows, len(labels))


def cell_text(cell: Cell | None, cite: bool = False) -> str:
    """'70.3', '70.4†', '62.1 ±1.3', '62.1 ±0.4 (3)', '25.9 ±1.9 (3 equal)', '62.1‡ ±0.4 (3)', '83.2 [2]', or a dash."""
    if cell is None:
        return DASH
    digits = '{:.1f}' if cell.unit == '%' else '{:.4g}'
    marks = '†' * cell.secondary + '‡' * bool(cell.code)
    parts = [digits.format(cell.value) + marks]
    if cell.spread is not None:
        parts.append(f'±{digits.format(cell.spread)}')
    if cell.n > 1:
        parts.append(f'({cell.n}{" equal" * cell.agree})')
    if cite:
        parts.append(f'[{cell.source}]')
    if cell.mark:
        parts.append(cell.mark)
    return ' '.join(parts)


def pad(line: list[str], widths: list[int], labels: int) -> list[str]:
    """The line's strings in their widths, labels to the left and numbers to the right."""
    cells = list(zip(line, widths))
    names = [text.ljust(width) for text, width in cells[:labels]]
    numbers = [text.rjust(width) for text, width in cells[labels:]]
    return names + numbers


def notes(table: Table) -> list[str]:
    """The lines below the table: sources by number, then footnotes."""
    sources = [f'[{i}] {source}' for i, source in enumerate(table.sources, 1)]
    return [visible(note) for note in (*sources, *table.footnotes)]


def sentences(table: Table) -> str:
    """Title and caption as one text."""
    return visible(' '.join([table.title.rstrip('.') + '.', *table.caption]))


def _labels(table: Table) -> dict[str, Callable[[Row], str]]:
    """Head -> what names a row under it."""
    labels: dict[str, Callable[[Row], str]] = {'model': lambda row: row.model}
    if any(row.arch for row in table.rows):
        labels['arch'] = lambda row: row.arch or DASH
    if any(row.epochs for row in table.rows):
        labels['epochs'] = lambda row: str(row.epochs or DASH)
    return labels | {'source': lambda row: row.source}


def _line(row: Row, table: Table, labels: dict[str, Callable[[Row], str]]) -> list[str]:
    of_several_sources = ',' in row.source and not row.measured
    names = [visible(label(row)) for label in labels.values()]
    return names + [cell_text(row.cells.get(column), of_several_sources) for column in table.columns]
