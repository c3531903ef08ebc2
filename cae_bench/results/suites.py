"""Suites: which tasks make a table, beside which published rows. One file a suite under `benchmarks/suites`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, nearest
from ..paths import shipped


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One task of a suite, as columns of its table. `variant`: published with another recipe than the standard one."""

    task: str
    metrics: tuple[str, ...]
    variant: str | None = None

    @property
    def dataset(self) -> str:
        return self.task.split('/')[0]

    @property
    def protocol(self) -> str:
        return self.task.split('/')[1]


@dataclass(frozen=True, kw_only=True)
class Pick:
    """Published rows of one file; None takes all its sources or methods."""

    file: str
    sources: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Suite:
    name: str
    title: str
    recipe: str
    entries: tuple[Entry, ...]
    picks: tuple[Pick, ...] = ()
    note: str | None = None

    @property
    def tasks(self) -> list[str]:
        """Task names in order, each once: what `run --suite` runs."""
        return list(dict.fromkeys(entry.task for entry in self.entries))


def list_suites() -> list[str]:
    return sorted(path.stem for path in shipped('benchmarks/suites').glob('*.yml'))


def load_suite(name: str) -> Suite:
    """A shipped suite by name, or any suite by the path of its .yml file; raises ConfigError with the nearest names."""
    path = Path(name) if name.endswith(('.yml', '.yaml')) else shipped('benchmarks/suites') / f'{name}.yml'
    if not path.is_file():
        raise ConfigError(f'no suite named {name!r}.{nearest(name, list_suites())}')
    try:
        return _suite(path.stem, yaml.safe_load(path.read_text(encoding='utf-8')))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f'{path}: not a suite ({type(error).__name__}: {error}). Compare it with benchmarks/suites/cae_paper.yml.'
        ) from error


def _suite(name: str, data: dict) -> Suite:
    data = dict(data)
    entries = tuple(_entry(entry) for entry in data.pop('tasks'))
    for entry in entries:
        if entry.task.count('/') != 1:
            raise ValueError(f'task {entry.task!r} is not <dataset>/<protocol>')
    picks = tuple(_pick(pick) for pick in data.pop('published', []))
    return Suite(name=name, entries=entries, picks=picks, **data)


def _entry(entry: dict[str, Any]) -> Entry:
    return Entry(**{**entry, 'metrics': tuple(entry['metrics'])})


def _pick(pick: dict[str, Any]) -> Pick:
    lists = {name: tuple(values) for name, values in pick.items() if name != 'file'}
    return Pick(file=pick['file'], **lists)
