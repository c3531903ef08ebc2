"""What must be said around a table so that nobody misreads it: recipes, sources, protocols, what ± means."""

from collections import Counter
from collections.abc import Iterable

from .columns import Column, heads, shared
from .published import Published
from .record import Record
from .rows import Row

SELECTED = {
    'paper': 'by their score on the validation images, as published',
    'held-out': 'on a held-out part of the training images',
    'last epoch': 'by the score of the last epoch on the validation images',
}


def caption(columns: list[Column], measured: list[Row], settings: dict[str, str]) -> tuple[str, ...]:
    """The lines above the table: what all columns share, and whether this is the paper's recipe."""
    common = shared(columns)
    parts = [f'data {common["dataset"]}'] if 'dataset' in common else []
    parts += [f'recipe {common["recipe"]}'] if 'recipe' in common else []
    parts += _versions(columns)
    lines = [', '.join(parts).capitalize() + '.'] if parts else []
    if any(column.recipe == 'mini' for row in measured for column in row.cells):
        which = (
            'The mini recipe cuts schedules to minutes'
            if common.get('recipe') == 'mini'
            else 'Columns marked (mini) use schedules cut to minutes'
        )
        lines.append(f"{which}: not the paper's recipe, not comparable with published numbers.")
    if '' in settings:
        lines.append(f'Changed in every run: {settings[""]}.')
    return tuple(lines)


def _versions(columns: list[Column]) -> list[str]:
    """The version that most protocols have and which have another; heads tell two versions of one protocol apart."""
    seen = {(c.protocol, c.version) for c in columns if c.version is not None}
    if not seen:
        return []
    count = Counter(version for _, version in seen)
    most = max(count, key=lambda version: (count[version], -version))
    single = Counter(protocol for protocol, _ in seen)
    others = [
        f'{protocol}: {version}' for protocol, version in sorted(seen) if version != most and single[protocol] == 1
    ]
    return [f'protocol version {most}' + (f' ({", ".join(others)})' if others else '')]


def footnotes(
    used: list[tuple[Column, int, Published]],
    published: list[Row],
    measured: list[Row],
    settings: dict[str, str],
    columns: list[Column],
    records: list[Record],
) -> tuple[str, ...]:
    """The lines below the table, after the list of sources."""
    lines = list(_protocols(used))
    titles = dict(zip(columns, heads(columns)))
    if any(cell.secondary for row in published for cell in row.cells.values()):
        lines.append('† quoted by the cited text; the original was not read.')
    lines += [
        f'Also published: {row.model} {row.arch}, {titles[column]}: '
        + ', '.join(f'{value:g} [{source}]' for value, source in cell.others)
        + '.'
        for row in published
        for column, cell in row.cells.items()
        if cell.others
    ]
    lines += [f'{letter}: with {text}.' for letter, text in settings.items() if letter]
    cells = [cell for row in measured for cell in row.cells.values()]
    if any(cell.ci95 and not cell.agree for cell in cells):
        lines.append('± is half the 95 % confidence interval of one run over the validation images.')
    if any(cell.std is not None for row in (*published, *measured) for cell in row.cells.values()):
        lines.append('± with (n) is the standard deviation over n seeds.')
    if any(cell.agree for cell in cells):
        lines.append(
            '(n equal): deterministic, n seeds agree; ± is half the 95 % confidence interval of one of them '
            'over the validation images.'
        )
    return (*lines, *_code(measured, titles), *_selection(measured, records), *_otherwise(measured, titles))


def _protocols(used: list[tuple[Column, int, Published]]) -> Iterable[str]:
    """How each published column was obtained, source by source where they differ."""
    texts: dict[tuple, dict[str, list[int]]] = {}
    for column, source, number in used:
        place = column.task + (f' ({column.variant})' if column.variant else '')
        sources = texts.setdefault(place, {}).setdefault(number.protocol.text, [])
        if source not in sources:
            sources.append(source)
    for place, told in texts.items():
        cited = (f'[{",".join(map(str, sorted(sources)))}] {text}' for text, sources in told.items())
        yield f'{place}: {" | ".join(cited)}'


def _code(measured: list[Row], titles: dict[Column, str]) -> Iterable[str]:
    """A line for each mixture of code that cells are means of."""
    cells: dict[str, dict[str, list[str]]] = {}
    for row in measured:
        for column, title in titles.items():
            if column in row.cells and (code := row.cells[column].code):
                cells.setdefault(code, {}).setdefault(row.model, []).append(title)
    for code, models in cells.items():
        where = '; '.join(f'{model}: {", ".join(heads)}' for model, heads in models.items())
        yield f'‡ seeds scored by different code, {code}. In {where}.'


def _otherwise(measured: list[Row], titles: dict[Column, str]) -> Iterable[str]:
    """A line for each column whose runs were scored by other selections as well."""
    words = {
        'held-out': 'by held-out training images',
        'last epoch': 'in the last epoch',
        'running statistics': 'by running statistics of batch norm',
        'best epoch': 'in the epoch that is best on the validation images',
    }
    for column, title in titles.items():
        told = [
            (how, f'{row.model} {value:.1f}')
            for row in measured
            if column in row.cells
            for how, value in row.cells[column].otherwise
        ]
        for how in dict.fromkeys(how for how, _ in told):
            yield f'{title} {words[how]}: {", ".join(text for h, text in told if h == how)}.'


def _selection(measured: list[Row], records: list[Record]) -> Iterable[str]:
    shown = {path for row in measured for cell in row.cells.values() for path in cell.evidence}
    chosen: dict[str, set[str]] = {}
    for record in records:
        # 'fixed': the recipe has one setting, so there was nothing to choose
        if (
            record.selection
            and record.selection['by'] in SELECTED
            and (record.path is None or str(record.path) in shown)
        ):
            chosen.setdefault(record.selection['by'], set()).add(record.protocol)
    for by, protocols in sorted(chosen.items()):
        yield f'Hyper-parameters of {", ".join(sorted(protocols))} were chosen {SELECTED[by]}.'
