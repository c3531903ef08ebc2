"""A table to be set into a paper or a page: LaTeX and HTML."""

from html import escape

from .grid import DASH, grid_of, notes, sentences
from .table import Table

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


def latex(table: Table) -> str:
    r"""A booktabs table; needs \usepackage{booktabs}."""
    grid = grid_of(table)
    lines = [' & '.join(map(_tex_cell, line)) + r' \\' for line in grid.lines]
    return '\n'.join(
        [
            r'\begin{table}',
            r'\centering',
            rf'\caption{{{_tex(sentences(table))}}}',
            rf'\begin{{tabular}}{{{"l" * grid.labels}{"r" * (len(grid.head) - grid.labels)}}}',
            r'\toprule',
            lines[0],
            r'\midrule',
            *lines[1:],
            r'\bottomrule',
            r'\end{tabular}',
            *(rf'\par\footnotesize {_tex(note)}' for note in notes(table)),
            r'\end{table}',
        ]
    )


def html(table: Table) -> str:
    """A <figure> with a table, to be set into a page."""
    grid = grid_of(table)
    below = [f'<li>{escape(note)}</li>' for note in notes(table)]
    return '\n'.join(
        [
            '<figure class="cae-bench-table">',
            f'<figcaption>{escape(sentences(table))}</figcaption>',
            '<table>',
            f'<thead>{_html_row(grid.head, "th", grid.labels)}</thead>',
            '<tbody>',
            *(_html_row(row, 'td', grid.labels) for row in grid.rows),
            '</tbody>',
            '</table>',
            *(['<ul>', *below, '</ul>'] if below else []),
            '</figure>',
        ]
    )


def _html_row(line: list[str], tag: str, labels: int) -> str:
    cells = []
    for i, cell in enumerate(line):
        align = 'left' if i < labels else 'right'
        cells.append(f'<{tag} style="text-align:{align}">{escape(cell)}</{tag}>')
    return f'<tr>{"".join(cells)}</tr>'


def _tex(value: str) -> str:
    return value.translate(_TEX)


def _tex_cell(value: str) -> str:
    """A bracket or star that begins a line would be taken for an option of the command before it."""
    return ('{}' if value[:1] in ('[', '*') else '') + _tex(value)
