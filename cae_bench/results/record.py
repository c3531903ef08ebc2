"""A record: everything known about one number. `benchmark.py` makes it, `store.py` keeps it, `table.py` shows it."""

import dataclasses
import functools
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RecordError
from . import schema
from .fields import Fields
from .json_text import dumps

ROUNDING = 1e-6  # a score may leave its interval by its last digits


class NewerRecordError(RecordError):
    """A record of a schema that this version does not know yet: nothing is wrong with the file."""


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(part.name for part in dataclasses.fields(kind))


@dataclass(frozen=True, kw_only=True)
class Model:
    """What was evaluated. `checkpoint` is a file name without folder; it and `sha256` are None for random weights."""

    name: str
    family: str
    arch: str | None = None
    checkpoint: str | None = None
    sha256: str | None = None
    load_report: dict | None = None

    @classmethod
    def read(cls, fields: Fields) -> 'Model':
        fields.expect(_names(cls))
        return cls(
            name=fields.text('name', filled=True),
            family=fields.text('family', filled=True),
            arch=fields.text_or_none('arch'),
            checkpoint=fields.text_or_none('checkpoint'),
            sha256=fields.text_or_none('sha256', schema.SHA256),
            load_report=fields.mapping_or_none('load_report'),
        )


@dataclass(frozen=True, kw_only=True)
class Dataset:
    name: str
    num_train: int
    num_val: int
    content_hash: str

    @classmethod
    def read(cls, fields: Fields) -> 'Dataset':
        fields.expect(_names(cls))
        return cls(
            name=fields.text('name', schema.SLUG),
            num_train=fields.integer('num_train', 0, schema.LARGEST),
            num_val=fields.integer('num_val', 1, schema.LARGEST),  # nothing is scored on no image
            content_hash=fields.text('content_hash', filled=True),
        )


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One score in the unit people print; `ci95` is (low, high) in the same unit, None where it cannot be had."""

    value: float
    unit: str = '%'
    higher_is_better: bool = True
    ci95: tuple[float, float] | None = None

    @classmethod
    def read(cls, fields: Fields) -> 'Metric':
        fields.expect(_names(cls))
        unit = fields.text('unit')
        least, most = schema.PERCENT if unit == '%' else (-math.inf, math.inf)
        value, ci95 = fields.number('value', least, most), None
        if fields.values['ci95'] is not None:
            low, high = ci95 = fields.pair('ci95', least, most)
            slack = ROUNDING * max(1.0, abs(value))
            if low > high:
                fields.refuse('ci95', f'{low} is above {high}')
            if not low - slack <= value <= high + slack:
                fields.refuse('ci95', f'the value {value} lies outside {low} to {high}')
        return cls(value=value, unit=unit, higher_is_better=fields.boolean('higher_is_better'), ci95=ci95)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run and seed of one task. Nothing is checked here: `to_dict` and `from_dict` do."""

    model: Model
    dataset: Dataset
    protocol: str  # 'linear', 'upernet', ...
    protocol_version: int
    recipe: str  # 'paper' or 'mini'
    config: dict | str  # resolved: a mapping, or the text of mmengine's dump
    fingerprint: str  # of all that can move the score, the seed excepted: see `stable_hash`
    metrics: dict[str, Metric]
    seed: int
    wall_time_s: float
    hardware: dict
    packages: dict[str, str]
    git: dict  # {'commit': str | None, 'dirty': bool | None}
    command: str
    started: str  # ISO 8601 with time zone
    overrides: dict = field(default_factory=dict)
    limit: int | None = None  # only the first N images were used
    precision: str = 'fp32'
    selection: dict | None = None  # {'by': 'paper' | 'held-out' | 'last epoch' | 'fixed', 'chosen': {...}, ...}
    peak_memory_mb: float | None = None
    extra: dict = field(default_factory=dict)  # curves, pictures, per-class scores: whatever a task adds
    path: Path | None = field(default=None, compare=False)  # where it was read from; not part of the file

    @property
    def task(self) -> str:
        return f'{self.dataset.name}/{self.protocol}'

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; raises RecordError for what could not be read back."""
        data = {'schema': schema.SCHEMA_NAME, 'task': self.task, 'status': schema.DONE, **vars(self)}
        del data['path']
        data['model'] = vars(self.model)
        data['dataset'] = vars(self.dataset)
        data['metrics'] = {name: vars(metric) for name, metric in self.metrics.items()}
        where = self.path or f'record of {self.model.name} on {self.task}'
        data = json.loads(dumps(data, where))  # tuples become lists, as they will be in the file
        Record._read(Fields(data, where))
        return data

    @classmethod
    def from_dict(cls, data: object, path: Path | None = None) -> 'Record':
        """Reads the JSON form; raises RecordError naming file, field and remedy."""
        return cls._read(Fields(data, path or 'record'), path)

    @classmethod
    def _read(cls, fields: Fields, path: Path | None = None) -> 'Record':
        _refuse_newer(fields)
        fields.expect(REQUIRED, ('extra',))
        fields.constant('schema', schema.SCHEMA_NAME)
        fields.constant('status', schema.DONE)
        record = cls(
            model=Model.read(fields.inside('model')),
            dataset=Dataset.read(fields.inside('dataset')),
            protocol=fields.text('protocol', schema.SLUG),
            protocol_version=fields.integer('protocol_version', 1),
            recipe=fields.text('recipe', schema.SLUG),
            config=fields.mapping_or_text('config'),
            fingerprint=fields.text('fingerprint', schema.SHA256),
            metrics=_metrics(fields.inside('metrics')),
            seed=fields.integer('seed', 0, schema.LARGEST),
            wall_time_s=fields.number('wall_time_s', 0, schema.LONGEST),
            hardware=fields.mapping('hardware'),
            packages=_packages(fields.inside('packages')),
            git=_git(fields.inside('git')),
            command=fields.text('command'),
            started=fields.text('started', schema.STARTED),
            overrides=fields.mapping('overrides'),
            limit=fields.integer_or_none('limit', 1),
            precision=fields.text('precision', schema.SLUG),
            selection=_selection(fields),
            peak_memory_mb=fields.number_or_none('peak_memory_mb', 0, schema.LONGEST),
            extra=fields.mapping('extra') if 'extra' in fields.values else {},
            path=path,
        )
        if fields.text('task', schema.TASK) != record.task:
            fields.refuse('task', f'{fields.values["task"]!r} disagrees with dataset and protocol ({record.task})')
        return record


REQUIRED = ('schema', 'task', 'status', *(name for name in _names(Record) if name not in ('extra', 'path')))


def _metrics(fields: Fields) -> dict[str, Metric]:
    return {name: Metric.read(fields.inside(name)) for name in fields.values}


def _packages(fields: Fields) -> dict[str, str]:
    return {name: fields.text(name) for name in fields.values}


def _git(fields: Fields) -> dict[str, Any]:
    fields.expect(('commit', 'dirty'))
    return {'commit': fields.text_or_none('commit'), 'dirty': fields.boolean_or_none('dirty')}


def _selection(fields: Fields) -> dict[str, Any] | None:
    """Which hyper-parameters were chosen, and by what; a protocol may add to it."""
    if fields.values['selection'] is None:
        return None
    selection = fields.inside('selection')
    selection.expect(('by', 'chosen'), optional=selection.values)  # and any others
    selection.one_of('by', schema.SELECTED_BY)
    selection.mapping('chosen')
    return selection.values


def _refuse_newer(fields: Fields) -> None:
    """Raises NewerRecordError if the schema is one of ours with a higher number."""
    name = fields.values.get('schema')
    family, _, known = schema.SCHEMA_NAME.rpartition('/')
    found = re.fullmatch(rf'{family}/([0-9]{{1,9}})', name) if isinstance(name, str) else None
    if found and int(found[1]) > int(known):
        raise NewerRecordError(
            f'{fields.source}: written by a newer cae_bench ({name}; this one reads up to {schema.SCHEMA_NAME}). '
            f'Upgrade cae_bench to read it.'
        )
