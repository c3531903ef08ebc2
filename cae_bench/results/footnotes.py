"""What must be said around a table so that nobody misreads it: recipes, sources, protocols, what ± means."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from .columns import Column, heads, shared
from .published import Published
from .record import Record
from .rows import Row

SELECTED = {
    'paper': 'by their score on the validation images, as published',
    'held-out': 'on a held-out part of the training images',
    'last epoch': 'by the score of the last epoch on the validation images',
}
OTHERWISE = {
    'held-out': 'by held-out training images',
    'last epoch': 'in the last epoch',
    'running statistics': 'by running statistics of batch norm',
    'best epoch': 'in the epoch that is best on the validation images',
}


def caption(columns: list[Column], measured: list[Row], settings: dict[str, str]) -> tuple[str, ...]:
    """The lines above the table: what all columns share, and whether this is the paper's recipe."""
    common = shared(columns)
    parts = []
    if 'dataset' in common:
        parts.append(f'data {common["dataset"]}')
    if 'recipe' in common:
        parts.append(f'recipe {common["recipe"]}')
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
    versions = Counter(protocol for protocol, _ in seen)
    others = [(protocol, version) for protocol, version in sorted(seen) if version != most and versions[protocol] == 1]
    named = ', '.join(f'{protocol}: {version}' for protocol, version in others)
    return [f'protocol version {most}' + (f' ({named})' if named else '')]


def footnotes(
    used: list[tuple[Column, int, Published]],
    published: list[Row],
    measured: list[Row],
    settings: dict[str, str],
    columns: list[Column],
    records: list[Record],
) -> tuple[str, ...]:
    """The lines below the table, after the list of sources."""
    titles = dict(zip(columns, heads(columns)))
    lines = list(_protocols(used))
    if any(cell.secondary for row in published for cell in row.cells.values()):
        lines.append('† quoted by the cited text; the original was not read.')
    lines += _also_published(published, titles)
    lines += [f'{letter}: with {text}.' for letter, text in settings.items() if letter]
    lines += _spreads(published, measured)
    return (*lines, *_code(measured, titles), *_selection(measured, records), *_otherwise(measured, titles))


def _protocols(used: list[tuple[Column, int, Published]]) -> Iterator[str]:
    """How each published column was obtained, source by source where they differ."""
    sources: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for column, source, number in used:
        place = f'{column.task} ({column.variant})' if column.variant else column.task
        citations = sources[place][number.protocol.text]
        if source not in citations:
            citations.append(source)
    for place, texts in sources.items():
        cited = [f'[{",".join(map(str, sorted(citations)))}] {text}' for text, citations in texts.items()]
        yield f'{place}: {" | ".join(cited)}'


def _also_published(published: list[Row], titles: dict[Column, str]) -> Iterator[str]:
    """What further sources say of a cell."""
    for row in published:
        for column, cell in row.cells.items():
            if cell.others:
                numbers = ', '.join(f'{value:g} [{source}]' for value, source in cell.others)
                yield f'Also published: {row.model} {row.arch}, {titles[column]}: {numbers}.'


def _spreads(published: list[Row], measured: list[Row]) -> Iterator[str]:
    """What ± means, of each kind that the table shows."""
    cells = [cell for row in measured for cell in row.cells.values()]
    if any(cell.ci95 and not cell.agree for cell in cells):
        yield '± is half the 95 % confidence interval of one run over the validation images.'
    if any(cell.std is not None for row in (*published, *measured) for cell in row.cells.values()):
        yield '± with (n) is the standard deviation over n seeds.'
    if any(cell.agree for cell in cells):
        yield (
            '(n equal): deterministic, n seeds agree; ± is half the 95 % confidence interval of one of them '
            'over the validation images.'
        )


def _code(measured: list[Row], titles: dict[Column, str]) -> Iterator[str]:
    """A line for each mixture of code that cells are means of."""
    cells: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in measured:
        for column, title in titles.items():
            if column in row.cells and (code := row.cells[column].code):
                cells[code][row.model].append(title)
    for code, models in cells.items():
        where = '; '.join(f'{model}: {", ".join(heads)}' for model, heads in models.items())
        yield f'‡ seeds scored by different code, {code}. In {where}.'


def _selection(measured: list[Row], records: list[Record]) -> Iterator[str]:
    """By what the hyper-parameters of the records in the table were selected."""
    shown = {path for row in measured for cell in row.cells.values() for path in cell.evidence}
    protocols: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.path is not None and str(record.path) not in shown:
            continue
        if record.selection and record.selection['by'] in SELECTED:  # not 'fixed': there was nothing to choose
            protocols[record.selection['by']].add(record.protocol)
    for by, names in sorted(protocols.items()):
        yield f'Hyper-parameters of {", ".join(sorted(names))} were chosen {SELECTED[by]}.'


def _otherwise(measured: list[Row], titles: dict[Column, str]) -> Iterator[str]:
    """A line for each column whose runs were scored by other selections as well."""
    for column, title in titles.items():
        scores: dict[str, list[str]] = defaultdict(list)
        for row in measured:
            cell = row.cells.get(column)
            for how, value in cell.otherwise if cell else ():
                scores[how].append(f'{row.model} {value:.1f}')
        for how, models in scores.items():
            yield f'{title} {OTHERWISE[how]}: {", ".join(models)}.'
