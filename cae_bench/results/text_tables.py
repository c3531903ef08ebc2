"""A table as markdown, and aligned for a terminal."""

import textwrap

from ..logs import visible
from .escaping import markdown_text
from .grid import grid_of, notes, pad
from .table import Table


def markdown(table: Table) -> str:
    grid = grid_of(table)
    lines = [list(map(markdown_text, line)) for line in grid.lines]
    widths = [max(3, *map(len, column)) for column in zip(*lines)]
    rule = [':' + '-' * (width - 1) for width in widths[: grid.labels]]
    rule += ['-' * (width - 1) + ':' for width in widths[grid.labels :]]
    padded = [pad(line, widths, grid.labels) for line in lines]
    parts = [f'**{markdown_text(table.title)}**', '']
    if table.caption:
        parts += [markdown_text(' '.join(table.caption)), '']
    parts += [f'| {" | ".join(line)} |' for line in (padded[0], rule, *padded[1:])]
    if below := [f'- {markdown_text(note)}' for note in notes(table)]:
        parts += ['', *below]
    return '\n'.join(parts)


def text(table: Table, width: int = 120) -> str:
    """Aligned for a terminal, long heads broken over lines, notes wrapped."""
    grid = grid_of(table)
    of_body = [max(map(len, cells)) for cells in zip(*grid.rows)] or [1] * len(grid.head)
    heads = [_broken(head, least) for head, least in zip(grid.head, of_body)]
    widths = [max(least, *map(len, lines)) for least, lines in zip(of_body, heads)]
    rule = ['─' * width for width in widths]
    drawn = [pad(line, widths, grid.labels) for line in (*_side_by_side(heads), rule, *grid.rows)]
    parts = [visible(table.title)]
    if table.caption:
        parts.append(textwrap.fill(visible(' '.join(table.caption)), width))
    parts += ['', *('  '.join(line).rstrip() for line in drawn)]
    if below := [textwrap.fill(note, width, subsequent_indent='  ') for note in notes(table)]:
        parts += ['', *below]
    return '\n'.join(parts)


def _broken(head: str, least: int) -> list[str]:
    """The head in lines as narrow as its column and its longest word allow."""
    return textwrap.wrap(head, max(least, *map(len, head.split())))


def _side_by_side(heads: list[list[str]]) -> list[list[str]]:
    """Heads of several lines as lines of all heads; short ones stand at the bottom."""
    height = max(map(len, heads))
    filled = [[''] * (height - len(lines)) + lines for lines in heads]
    return [list(line) for line in zip(*filled)]
