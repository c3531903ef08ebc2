"""Rows of measured records: seeds of one fingerprint become one cell, anything else never does."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean, stdev
from string import ascii_lowercase

from .code_versions import differing_code
from .columns import Column, column_of
from .record import Record
from .rows import Cell, Row

OTHERWISE = {'held_out': 'held-out', 'last': 'last epoch'}  # suffix of a metric -> `by` of a selection
BESIDE = {'running_stats': 'running statistics', 'best_epoch': 'best epoch'}  # further scores of the same head


def measured_rows(records: list[Record], columns: list[Column], tags: dict) -> tuple[list[Row], dict[str, str]]:
    """Rows by model name, and footnote letter -> setting; the letter is '' when every cell has the same setting."""
    models: dict[tuple, list[Record]] = {}
    for record in records:
        models.setdefault((record.model.name, record.model.sha256 or '', record.model.arch), []).append(record)
    names = Counter(name for name, _, _ in models)
    rows = []
    for (name, sha256, arch), own in sorted(models.items(), key=lambda item: tuple(map(str, item[0]))):
        shown = f'{name} ({sha256[:8] or arch})' if names[name] > 1 else name  # one name, two files: never one row
        rows += _rows_of(shown, arch, own, columns, tags)
    return _letter(rows)


def setting(record: Record) -> str | None:
    """How a run departs from its recipe, in words; None when it does not."""
    parts = dict(record.overrides)
    trained = "nothing trained, the file's own heads scored" if parts.pop('eval_only', False) else None
    if record.limit is not None:
        parts.setdefault('limit', record.limit)
    if record.precision != 'fp32':
        parts.setdefault('amp', record.precision)
    told = [f'{key}={value}' for key, value in sorted(parts.items())]
    return ', '.join([trained] * bool(trained) + told) or None


def _rows_of(name: str, arch: str | None, records: list[Record], columns: list[Column], tags: dict) -> list[Row]:
    """One row, and further ones where a column was measured in more than one way (the newest comes first)."""
    rows: list[dict[Column, Cell]] = []
    labels: list[str] = []
    for column in columns:
        runs: dict[str, dict[int, Record]] = {}
        for record in sorted(records, key=lambda r: r.started):
            if column.metric in record.metrics and column_of(record, column.metric, tags) == column:
                runs.setdefault(record.fingerprint, {})[record.seed] = record
        newest_first = sorted(runs.items(), key=lambda run: max(r.started for r in run[1].values()), reverse=True)
        for i, (fingerprint, seeds) in enumerate(newest_first):
            if i == len(rows):
                rows.append({})
                labels.append('measured' if i == 0 else f'measured, run {fingerprint[:8]}')
            rows[i][column] = _cell(column, [seeds[seed] for seed in sorted(seeds)])
    return [
        Row(model=name, arch=arch, epochs=None, source=label, measured=True, cells=cells)
        for label, cells in zip(labels, rows)
    ]


def _cell(column: Column, records: list[Record]) -> Cell:
    metrics = [record.metrics[column.metric] for record in records]
    values = [metric.value for metric in metrics]
    one = len(set(values)) == 1  # one run, or a deterministic protocol, whose ±0.0 would deny the images' luck
    several = len(values) > 1
    return Cell(
        value=values[0] if one else mean(values),
        unit=metrics[0].unit,
        n=len(values),
        std=None if one else stdev(values),
        ci95=metrics[0].ci95 if one else None,
        agree=one and several,
        setting=setting(records[0]),
        code=differing_code(records) if several else None,
        evidence=tuple(str(record.path) for record in records if record.path),
        otherwise=tuple(_otherwise(column, records)),
    )


def _otherwise(column: Column, records: list[Record]) -> Iterator[tuple[str, float]]:
    """What the same runs score when heads and epochs are selected another way than the cell's."""
    done = {record.selection['by'] if record.selection else 'fixed' for record in records}
    for suffix, how in OTHERWISE.items():
        name = f'{column.metric}_{suffix}'
        if not done & {how, 'fixed'} and all(name in record.metrics for record in records):
            yield how, mean(record.metrics[name].value for record in records)
    for suffix, how in BESIDE.items():
        name = f'{column.metric}_{suffix}'
        if all(name in record.metrics for record in records):
            yield how, mean(record.metrics[name].value for record in records)


def _letter(rows: list[Row]) -> tuple[list[Row], dict[str, str]]:
    """Gives each setting a footnote letter, unless all cells share one: then the caption says it once."""
    settings = list(dict.fromkeys(cell.setting for row in rows for cell in row.cells.values()))
    if settings == [None] or not settings:
        return rows, {}
    if len(settings) == 1:
        return rows, {'': settings[0]}
    letters = dict(zip([s for s in settings if s], _letters()))
    marked = [
        replace(
            row, cells={column: replace(cell, mark=letters.get(cell.setting, '')) for column, cell in row.cells.items()}
        )
        for row in rows
    ]
    return marked, {letter: text for text, letter in letters.items()}


def _letters():
    yield from ascii_lowercase
    number = 1
    while True:
        yield from (f'{letter}{number}' for letter in ascii_lowercase)
        number += 1
