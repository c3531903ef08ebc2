"""A table as text: markdown, csv, json, latex, html, and `text` for a terminal.

Names of models, metrics and sources are anybody's: every format shows their control characters instead of obeying them.
"""

import csv
import io
import json
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from html import escape

from ..errors import ConfigError, nearest
from ..logs import visible
from .escaping import csv_text, json_escaped, markdown_text
from .rows import Cell, Row
from .table import Table

DASH = '–'


def render(table: Table, format: str = 'markdown') -> str:
    """The table as text without a final newline; raises ConfigError for an unknown format."""
    if format not in FORMATS:
        raise ConfigError(f'no table format named {format!r}.{nearest(format, FORMATS)}')
    return FORMATS[format](table)


def markdown(table: Table) -> str:
    head, rows = grid(table)
    cells = [list(map(markdown_text, line)) for line in [head, *rows]]
    widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(head))]
    left = _left(table)
    rule = [':' + '-' * (w - 1) if i < left else '-' * (w - 1) + ':' for i, w in enumerate(widths)]
    lines = [
        '| ' + ' | '.join(line) + ' |'
        for line in (_pad(cells[0], widths, left), rule, *(_pad(line, widths, left) for line in cells[1:]))
    ]
    notes = [f'- {markdown_text(note)}' for note in _notes(table)]
    said = [markdown_text(' '.join(table.caption)), ''] if table.caption else []
    return '\n'.join([f'**{markdown_text(table.title)}**', '', *said, *lines, *(['', *notes] if notes else [])])


def text(table: Table, width: int = 120) -> str:
    """Aligned for a terminal, long heads broken over lines, notes wrapped."""
    head, rows = grid(table)
    body = [max([len(row[i]) for row in rows], default=1) for i in range(len(head))]
    broken = [textwrap.wrap(h, max(w, *map(len, h.split()))) for h, w in zip(head, body)]
    height = max(map(len, broken))
    lines = [[([''] * (height - len(b)) + b)[i] for b in broken] for i in range(height)]
    widths = [max(w, *map(len, b)) for w, b in zip(body, broken)]
    left = _left(table)
    drawn = ['  '.join(_pad(line, widths, left)).rstrip() for line in (*lines, ['─' * w for w in widths], *rows)]
    notes = [textwrap.fill(note, width, subsequent_indent='  ') for note in _notes(table)]
    said = [textwrap.fill(visible(' '.join(table.caption)), width)] if table.caption else []
    return '\n'.join([visible(table.title), *said, '', *drawn, *([''] if notes else []), *notes])


def to_csv(table: Table) -> str:
    """One line a row, numbers and columns' names in full; a missing one is a dash. `±` and `n` follow where known."""
    heads = [column.name for column in table.columns]
    spread = [c for c in table.columns if any(row.cells[c].spread is not None for row in table.rows if c in row.cells)]
    out = io.StringIO()
    write = csv.writer(out, lineterminator='\n').writerow
    titles = [[h, *([f'{h} ±', f'{h} n'] if c in spread else [])] for c, h in zip(table.columns, heads)]
    write(['model', 'arch', 'epochs', 'source', *map(csv_text, sum(titles, [])), 'notes'])
    for row in table.rows:
        parts = [_csv_cell(row.cells.get(c), c in spread) for c in table.columns]
        write(
            [
                csv_text(row.model),
                csv_text(row.arch) if row.arch else '-',
                row.epochs or '-',
                csv_text(_citation(table, row)),
                *sum(parts, []),
                csv_text(_csv_notes(row)),
            ]
        )
    return out.getvalue().rstrip('\n')


def to_json(table: Table) -> str:
    """Everything there is to know of each cell; a missing one is null."""

    def cell(found: Cell | None, row: Row):
        if found is None:
            return None
        kind = {'kind': 'measured' if row.measured else 'published'}
        told = {k: v for k, v in asdict(found).items() if v not in (None, '', ()) and v is not False}
        return kind | told | {'secondary': found.secondary}

    heads = list(zip(table.columns, table.heads))
    rows = [
        {
            'model': row.model,
            'arch': row.arch,
            'epochs': row.epochs,
            'source': row.source,
            'measured': row.measured,
            'cells': {head: cell(row.cells.get(column), row) for column, head in heads},
        }
        for row in table.rows
    ]
    columns = [{'head': head, **asdict(column)} for column, head in heads]
    data = {
        'title': table.title,
        'caption': list(table.caption),
        'columns': columns,
        'rows': rows,
        'sources': list(table.sources),
        'footnotes': list(table.footnotes),
    }
    return json_escaped(json.dumps(data, indent=1, ensure_ascii=False))


def latex(table: Table) -> str:
    r"""A booktabs table; needs \usepackage{booktabs}."""
    head, rows = grid(table)
    left = _left(table)
    lines = [' & '.join(map(_tex_cell, line)) + r' \\' for line in (head, *rows)]
    notes = [rf'\par\footnotesize {_tex(note)}' for note in _notes(table)]
    return '\n'.join(
        [
            r'\begin{table}',
            r'\centering',
            rf'\caption{{{_tex(_sentences(table))}}}',
            rf'\begin{{tabular}}{{{"l" * left}{"r" * (len(head) - left)}}}',
            r'\toprule',
            lines[0],
            r'\midrule',
            *lines[1:],
            r'\bottomrule',
            r'\end{tabular}',
            *notes,
            r'\end{table}',
        ]
    )


def html(table: Table) -> str:
    """A <figure> with a table, to be set into a page."""
    head, rows = grid(table)
    left = _left(table)

    def line(parts: list[str], tag: str) -> str:
        align = ['left'] * left + ['right'] * (len(parts) - left)
        cells = (f'<{tag} style="text-align:{a}">{escape(p)}</{tag}>' for p, a in zip(parts, align))
        return f'<tr>{"".join(cells)}</tr>'

    said = escape(_sentences(table))
    notes = [f'<li>{escape(note)}</li>' for note in _notes(table)]
    return '\n'.join(
        [
            '<figure class="cae-bench-table">',
            f'<figcaption>{said}</figcaption>',
            '<table>',
            f'<thead>{line(head, "th")}</thead>',
            '<tbody>',
            *(line(row, 'td') for row in rows),
            '</tbody>',
            '</table>',
            *(['<ul>', *notes, '</ul>'] if notes else []),
            '</figure>',
        ]
    )


def grid(table: Table) -> tuple[list[str], list[list[str]]]:
    """Heads and cells as short strings without control characters; arch and epochs only where some row has them."""
    named = _label_columns(table)
    head = [*named, *map(visible, table.heads)]
    rows = []
    for row in table.rows:
        many = ',' in row.source and not row.measured
        rows.append(
            [
                *(visible(value(row)) for value in named.values()),
                *(cell_text(row.cells.get(c), many) for c in table.columns),
            ]
        )
    return head, rows


def cell_text(cell: Cell | None, cite: bool = False) -> str:
    """'70.3', '70.4†', '62.1 ±1.3', '62.1 ±0.4 (3)', '25.9 ±1.9 (3 equal)', '62.1‡ ±0.4 (3)', '83.2 [2]', or a dash."""
    if cell is None:
        return DASH
    digits = '{:.1f}' if cell.unit == '%' else '{:.4g}'
    shown = digits.format(cell.value) + '†' * cell.secondary + '‡' * bool(cell.code)
    shown += f' ±{digits.format(cell.spread)}' if cell.spread is not None else ''
    shown += f' ({cell.n}{" equal" * cell.agree})' if cell.n > 1 else ''
    return shown + (f' [{cell.source}]' if cite else '') + (f' {cell.mark}' if cell.mark else '')


FORMATS: dict[str, Callable[[Table], str]] = {
    'markdown': markdown,
    'csv': to_csv,
    'latex': latex,
    'html': html,
    'json': to_json,
    'text': text,
}


def _label_columns(table: Table) -> dict[str, Callable[[Row], str]]:
    labels = {'model': lambda row: row.model}
    if any(row.arch for row in table.rows):
        labels['arch'] = lambda row: row.arch or DASH
    if any(row.epochs for row in table.rows):
        labels['epochs'] = lambda row: str(row.epochs or DASH)
    return labels | {'source': lambda row: row.source}


def _left(table: Table) -> int:
    return len(_label_columns(table))


def _pad(line: list[str], widths: list[int], left: int) -> list[str]:
    return [part.ljust(w) if i < left else part.rjust(w) for i, (part, w) in enumerate(zip(line, widths))]


def _sentences(table: Table) -> str:
    return visible(' '.join([table.title.rstrip('.') + '.', *table.caption]))


def _notes(table: Table) -> list[str]:
    return list(map(visible, [*(f'[{i}] {source}' for i, source in enumerate(table.sources, 1)), *table.footnotes]))


def _csv_cell(cell: Cell | None, spread: bool) -> list[str]:
    if cell is None:
        return ['-'] * (3 if spread else 1)
    shown = f'{cell.value:.10g}'
    return [shown, f'{cell.spread:.10g}' if cell.spread is not None else '-', str(cell.n)] if spread else [shown]


def _citation(table: Table, row: Row) -> str:
    numbers = {cell.source for cell in row.cells.values()} - {None}
    return row.source if row.measured else '; '.join(table.sources[n - 1] for n in sorted(numbers))


def _csv_notes(row: Row) -> str:
    notes = [f'{column.name}: secondary source' for column, cell in row.cells.items() if cell.secondary]
    notes += [f'{column.name}: {cell.setting}' for column, cell in row.cells.items() if cell.setting]
    notes += [
        f'{column.name}: seeds scored by different code, {cell.code}' for column, cell in row.cells.items() if cell.code
    ]
    notes += [f'{column.name}: seeds agree, ± is of one run' for column, cell in row.cells.items() if cell.agree]
    return '; '.join(notes)


_TEX = str.maketrans(
    {
        '\\': r'\textbackslash{}',
        '{': r'\{',
        '}': r'\}',
        '&': r'\&',
        '%': r'\%',
        '$': r'\$',
        '#': r'\#',
        '_': r'\_',
        '~': r'\textasciitilde{}',
        '^': r'\textasciicircum{}',
        '±': r'$\pm$',
        '†': r'\dag{}',
        '‡': r'\ddag{}',
        '<': r'\textless{}',
        '>': r'\textgreater{}',
        '|': r'\textbar{}',
        DASH: '--',
    }
)


def _tex(value: str) -> str:
    return value.translate(_TEX)


def _tex_cell(value: str) -> str:
    """A bracket or star that begins a line would be taken for an option of the command before it."""
    return ('{}' if value[:1] in ('[', '*') else '') + _tex(value)
