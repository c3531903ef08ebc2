"""The gallery: a suite, the published rows and the measured records, joined into one table."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import RecordError
from .columns import HEADLINE, Column, column_of, data_tags, heads, order
from .footnotes import caption, footnotes
from .measured import measured_rows
from .published import Published, load_published, resolve_methods
from .published_rows import published_rows
from .record import Record
from .rows import Row
from .store import load_records
from .suites import Pick, Suite, load_suite

DEFAULT_SUITE = 'cae_paper'  # whose published rows stand beside measured `paper` columns when no suite is named


@dataclass(frozen=True)
class Table:
    """Everything a renderer needs. A row's cells are by column; an absent one is a missing number."""

    title: str
    caption: tuple[str, ...]
    columns: tuple[Column, ...]
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    sources: tuple[str, ...]  # citations; [1] is the first
    footnotes: tuple[str, ...]
    warnings: tuple[str, ...] = ()  # damaged records and the like: for the terminal, not for the page


def build_table(
    results_dir: str | Path | None = 'results',
    suite: str | None = None,
    published: list[str] | None = None,
    models: list[str] | None = None,
) -> Table:
    """Joins measured records with published numbers.

    Args:
        results_dir: the folder that holds `measured`; None shows published numbers only.
        suite: a name or a .yml file. Without one the columns are the tasks that were measured.
        published: methods to show instead of those the suite picks.
        models: only the measured rows of these models.

    Returns:
        A Table; damaged records and the like are in its `warnings`.

    Raises:
        ConfigError: an unknown suite or method, with the nearest names.
        RecordError: there is nothing to show.
    """
    chosen = load_suite(suite) if suite else None
    records, warnings = _records(results_dir, chosen)
    records = [r for r in records if models is None or r.model.name in models]
    if not records and chosen is None:
        raise RecordError(
            f'{results_dir}: no finished record yet. Make one with `cae-bench run`, '
            f'or name a suite, e.g. --suite {DEFAULT_SUITE}, for the published numbers.'
        )
    tags = data_tags(records)
    columns = _suite_columns(chosen, records, tags) if chosen else _measured_columns(records, tags)
    numbers, picked = _published(chosen, published, columns)
    rows, sources, used = published_rows(numbers, columns, picked)
    if published and not rows:
        warnings.append('no published number fits these columns; name a suite, e.g. --suite cae_paper')
    ours, settings = measured_rows(records, columns, tags)
    if not rows and not ours:
        raise RecordError(
            f'suite {suite}: nothing was measured or published for its tasks yet. '
            f'Fill it with `cae-bench run CHECKPOINT --suite {suite}`.'
        )
    return Table(
        title=chosen.title if chosen else 'Measured by cae-bench',
        caption=caption(columns, ours, settings),
        columns=tuple(columns),
        heads=tuple(heads(columns)),
        rows=(*rows, *ours),
        sources=tuple(sources),
        footnotes=footnotes(used, rows, ours, settings, columns, records),
        warnings=tuple(warnings),
    )


def list_models(records: list[Record]) -> list[tuple[str, str, str]]:
    """(name, arch, what was measured) of each model, by name."""
    found: dict[tuple[str, str], set[str]] = {}
    for record in records:
        found.setdefault((record.model.name, record.model.arch or '–'), set()).add(f'{record.task} ({record.recipe})')
    return [(name, arch, ', '.join(sorted(tasks))) for (name, arch), tasks in sorted(found.items())]


def list_published() -> list[tuple[str, int, str, str]]:
    """(file, count of numbers, methods, sources) of each file of published results."""
    files: dict[str, list[Published]] = {}
    for number in load_published():
        files.setdefault(number.file, []).append(number)
    return [
        (
            name,
            len(numbers),
            ', '.join(dict.fromkeys(n.model.method for n in numbers)),
            '; '.join(dict.fromkeys(n.source.name for n in numbers)),
        )
        for name, numbers in files.items()
    ]


def _records(results_dir, suite: Suite | None) -> tuple[list[Record], list[str]]:
    if results_dir is None:
        return [], []
    if suite is not None and not Path(results_dir).is_dir():
        return [], [f'{results_dir}: no such results folder, so nothing measured is shown']
    damaged: list[RecordError] = []
    return load_records(results_dir, damaged), [str(error) for error in damaged]


def _measured_columns(records: list[Record], tags: dict) -> list[Column]:
    """The headline metrics of every measured task."""
    columns = {}
    for record in records:
        names = [m for m in HEADLINE.get(record.protocol, ()) if m in record.metrics] or list(record.metrics)[:1]
        columns |= {column_of(record, name, tags): names.index(name) for name in names}
    return sorted(columns, key=lambda c: (*order(c), columns[c]))


def _suite_columns(suite: Suite, records: list[Record], tags: dict) -> list[Column]:
    """The suite's own columns; what was measured of its tasks with another recipe or version stands beside them."""
    columns: dict[Column, None] = {}
    for entry in suite.entries:
        measured = [r for r in records if r.task == entry.task] if entry.variant is None else []
        for metric in entry.metrics:
            versions = [r.protocol_version for r in measured if r.recipe == suite.recipe]
            newest = max(versions, default=None)
            own = Column(entry.dataset, entry.protocol, metric, suite.recipe, newest, variant=entry.variant)
            columns[own] = None
            found = {column_of(r, metric, tags): None for r in measured if metric in r.metrics}
            columns |= {column: None for column in sorted(found, key=order)}
    return list(columns)


def _published(suite: Suite | None, methods: list[str] | None, columns: list[Column]) -> tuple[list[Published], int]:
    """The published numbers to show and how many of them, from the first on, a suite picked."""
    if not any(column.recipe == 'paper' for column in columns):
        return [], 0
    picks = (suite or load_suite(DEFAULT_SUITE)).picks
    everything = load_published(None if methods else [pick.file for pick in picks])
    wanted = resolve_methods(methods, everything) if methods else None
    shown = [number for number in everything if not wanted or number.model.method in wanted]
    picked = [number for pick in picks for number in shown if _fits(number, pick)]
    missing = set(wanted or ()) - {n.model.method for n in picked}
    return picked + [n for n in everything if n.model.method in missing], len(picked)


def _fits(number: Published, pick: Pick) -> bool:
    return (
        number.file == pick.file
        and (pick.sources is None or number.source_key in pick.sources)
        and (pick.methods is None or number.model.method in pick.methods)
    )
