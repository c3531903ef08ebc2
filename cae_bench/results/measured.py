"""Rows of measured records: seeds of one fingerprint become one cell, anything else never does."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean, stdev
from string import ascii_lowercase

from .code_versions import differing_code
from .columns import Column, column_of
from .record import Record
from .rows import Cell, Row
from .stable_hash import moves_no_score

OTHERWISE = {'held_out': 'held-out', 'last': 'last epoch'}  # suffix of a metric -> `by` of a selection
BESIDE = {'running_stats': 'running statistics', 'best_epoch': 'best epoch'}  # further scores of the same head


def measured_rows(records: list[Record], columns: list[Column], tags: dict) -> tuple[list[Row], dict[str, str]]:
    """Rows by model name, and footnote letter -> setting; the letter is '' when every cell has the same setting."""
    models: dict[tuple[str, str, str | None], list[Record]] = defaultdict(list)
    for record in records:
        models[record.model.name, record.model.sha256 or '', record.model.arch].append(record)
    names = Counter(name for name, _, _ in models)
    rows = []
    for name, sha256, arch in sorted(models, key=lambda model: tuple(map(str, model))):
        shown = f'{name} ({sha256[:8] or arch})' if names[name] > 1 else name  # one name, two files: never one row
        rows += _rows_of(shown, arch, models[name, sha256, arch], columns, tags)
    return _letter(rows)


def setting(record: Record) -> str | None:
    """How a run departs from its recipe, in words; None when it does not. What moves no score is no departure."""
    parts = {key: value for key, value in record.overrides.items() if not moves_no_score(key)}
    words = ["nothing trained, the file's own heads scored"] if parts.pop('eval_only', False) else []
    if record.limit is not None:
        parts.setdefault('limit', record.limit)
    if record.precision != 'fp32':
        parts.setdefault('amp', record.precision)
    words += [f'{key}={value}' for key, value in sorted(parts.items())]
    return ', '.join(words) or None


def _rows_of(name: str, arch: str | None, records: list[Record], columns: list[Column], tags: dict) -> list[Row]:
    """One row, and further ones where a column was measured in more than one way (the newest comes first)."""
    rows: list[dict[Column, Cell]] = []
    labels: list[str] = []
    for column in columns:
        for i, runs in enumerate(_repetitions(column, records, tags)):
            if i == len(rows):
                rows.append({})
                labels.append('measured' if i == 0 else f'measured, run {runs[0].fingerprint[:8]}')
            rows[i][column] = _cell(column, runs)
    return [
        Row(model=name, arch=arch, epochs=None, source=label, measured=True, cells=cells)
        for label, cells in zip(labels, rows)
    ]


def _repetitions(column: Column, records: list[Record], tags: dict) -> list[list[Record]]:
    """The runs of each fingerprint in this column, seed by seed; what was run last comes first.

    Of a seed that was run twice the newest counts.
    """
    runs: dict[str, dict[int, Record]] = defaultdict(dict)
    for record in sorted(records, key=lambda record: record.started):
        if column.metric in record.metrics and column_of(record, column.metric, tags) == column:
            runs[record.fingerprint][record.seed] = record
    repetitions = []
    for seeds in runs.values():
        repetitions.append([seeds[seed] for seed in sorted(seeds)])
    return sorted(repetitions, key=lambda own: max(record.started for record in own), reverse=True)


def _cell(column: Column, records: list[Record]) -> Cell:
    metrics = [record.metrics[column.metric] for record in records]
    values = [metric.value for metric in metrics]
    is_one = len(set(values)) == 1  # one run, or a deterministic protocol, whose ±0.0 would deny the images' luck
    several = len(values) > 1
    return Cell(
        value=values[0] if is_one else mean(values),
        unit=metrics[0].unit,
        n=len(values),
        std=None if is_one else stdev(values),
        ci95=metrics[0].ci95 if is_one else None,
        agree=is_one and several,
        setting=setting(records[0]),
        code=differing_code(records) if several else None,
        evidence=tuple(str(record.path) for record in records if record.path),
        otherwise=tuple(_otherwise(column, records)),
    )


def _otherwise(column: Column, records: list[Record]) -> Iterator[tuple[str, float]]:
    """What the same runs score when heads and epochs are selected another way than the cell's."""
    selected = {record.selection['by'] if record.selection else 'fixed' for record in records}
    others = {suffix: how for suffix, how in OTHERWISE.items() if selected.isdisjoint((how, 'fixed'))}
    for suffix, how in (others | BESIDE).items():
        name = f'{column.metric}_{suffix}'
        if all(name in record.metrics for record in records):
            yield how, mean(record.metrics[name].value for record in records)


def _letter(rows: list[Row]) -> tuple[list[Row], dict[str, str]]:
    """Gives each setting a footnote letter, unless all cells share one: then the caption says it once."""
    every = dict.fromkeys(cell.setting for row in rows for cell in row.cells.values())
    settings = [setting for setting in every if setting]
    if len(every) == 1:
        return rows, {'': settings[0]} if settings else {}
    letters = dict(zip(settings, _letters()))
    marked = [_marked(row, letters) for row in rows]
    return marked, {letter: setting for setting, letter in letters.items()}


def _marked(row: Row, letters: dict[str, str]) -> Row:
    """The row with the letter of each cell's setting."""
    cells = {}
    for column, cell in row.cells.items():
        cells[column] = replace(cell, mark=letters[cell.setting]) if cell.setting else cell
    return replace(row, cells=cells)


def _letters() -> Iterator[str]:
    yield from ascii_lowercase
    number = 1
    while True:
        yield from (f'{letter}{number}' for letter in ascii_lowercase)
        number += 1
