"""A record: everything known about one number. `benchmark.py` makes it, `store.py` keeps it, `table.py` shows it."""

import functools
import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ..errors import RecordError
from .quick import compile_schema
from .schema import RECORD, SCHEMA_NAME

ROUNDING = 1e-6  # a score may leave its interval by its last digits


class NewerRecordError(RecordError):
    """A record of a schema that this version does not know yet: nothing is wrong with the file."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What was evaluated. `checkpoint` is a file name without folder; it and `sha256` are None for random weights."""

    name: str
    family: str
    arch: str | None = None
    checkpoint: str | None = None
    sha256: str | None = None
    load_report: dict | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    name: str
    num_train: int
    num_val: int
    content_hash: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One score in the unit people print; `ci95` is (low, high) in the same unit, None where it cannot be had."""

    value: float
    unit: str = '%'
    higher_is_better: bool = True
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run and seed of one task. Nothing is checked here: `to_dict` and `from_dict` hold it against the schema."""

    model: Model
    dataset: Dataset
    protocol: str  # 'linear', 'upernet', ...
    protocol_version: int
    recipe: str  # 'paper' or 'mini'
    config: dict | str
    fingerprint: str  # of all that can move the score, the seed excepted: see `fingerprint`
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
    status: str = 'ok'
    extra: dict = field(default_factory=dict)  # curves, pictures, per-class scores: whatever a task adds
    path: Path | None = field(default=None, compare=False)  # where it was read from; not part of the file

    @property
    def task(self) -> str:
        return f'{self.dataset.name}/{self.protocol}'

    def to_dict(self) -> dict:
        """The JSON form, checked against the schema; raises RecordError."""
        data = {'schema': SCHEMA_NAME, 'task': self.task, **vars(self)}
        del data['path']
        data |= {
            'model': dict(vars(self.model)),
            'dataset': dict(vars(self.dataset)),
            'metrics': {name: _metric_to_dict(metric) for name, metric in self.metrics.items()},
        }
        where = self.path or f'record of {self.model.name} on {self.task}'
        data = json.loads(dumps(data, where))  # tuples become lists, as they will be in the file
        validate(data, where)
        return data

    @classmethod
    def from_dict(cls, data: dict, path: Path | None = None) -> 'Record':
        """Reads the JSON form; raises RecordError naming file, field and remedy."""
        where = path or 'record'
        validate(data, where)
        task = f'{data["dataset"]["name"]}/{data["protocol"]}'
        if data['task'] != task:
            raise _error(where, 'task', f'{data["task"]!r} disagrees with dataset and protocol ({task})')
        fields = {k: v for k, v in data.items() if k not in ('schema', 'task')}
        fields |= {
            'model': Model(**data['model']),
            'dataset': Dataset(**data['dataset']),
            'metrics': {name: _metric_from_dict(metric) for name, metric in data['metrics'].items()},
        }
        return cls(**fields, path=path)


def fingerprint(parts: dict) -> str:
    """sha256 over all that can move the score: checkpoint hash, protocol and version, recipe, resolved config without
    paths, workers and logging, overrides, data-set hash, limit, precision. The seed stays out: seeds of one fingerprint
    are repetitions. Key order and tuple against list make no difference; anything JSON cannot hold is an error.
    """
    text = json.dumps(_canonical(parts, 'fingerprint'), sort_keys=True, separators=(',', ':'), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def dumps(data: dict, where) -> str:
    """Readable JSON; not-a-number and infinity are refused, since no table could show them."""
    try:
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError as error:
        raise RecordError(
            f'{where}: a value is not a finite number ({error}). '
            f"Store the run with status 'failed' and without that metric."
        ) from error
    except TypeError as error:
        raise RecordError(f'{where}: {error}. Give plain numbers, strings, lists and mappings.') from error


def loads(text: str, path: Path) -> dict:
    """The JSON of a record; raises RecordError for text that is no JSON or holds a number no float can hold."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f'{path}: not a readable record ({error}). Delete the file and run the task again.'
        ) from error


def validate(data, where) -> None:
    """Raises RecordError for the first field that breaks the schema or has a value that cannot be."""
    if _fits()(data):
        return _check_intervals(data['metrics'], where)
    if isinstance(data, dict) and (newer := _newer_schema(data.get('schema'))):
        raise NewerRecordError(
            f'{where}: written by a newer cae_bench ({newer}; this one reads up to {SCHEMA_NAME}). '
            f'Upgrade cae_bench to read it.'
        )
    error = next(_validator().iter_errors(data), None)
    if error is None:
        return
    name = '.'.join(str(part) for part in error.absolute_path) or 'the whole record'
    message = error.message
    raise _error(where, name, message if len(message) < 160 else f'{message[:90]}...{message[-67:]}')


@functools.cache
def _fits():
    return compile_schema(RECORD)


@functools.cache
def _validator():
    from jsonschema import Draft202012Validator

    return Draft202012Validator(RECORD)


def _newer_schema(name) -> str | None:
    """The schema's name if it is one of ours with a higher number."""
    family, _, known = SCHEMA_NAME.rpartition('/')
    found = re.fullmatch(rf'{family}/([0-9]{{1,9}})', name) if isinstance(name, str) else None
    return name if found and int(found[1]) > int(known) else None


def _check_intervals(metrics: dict, where) -> None:
    """What JSON schema has no words for: low <= value <= high."""
    for name, metric in metrics.items():
        if metric['ci95'] is None:
            continue
        (low, high), value = metric['ci95'], metric['value']
        if low > high:
            raise _error(where, f'metrics.{name}.ci95', f'{low} is above {high}')
        slack = ROUNDING * max(1.0, abs(value))
        if not low - slack <= value <= high + slack:
            raise _error(where, f'metrics.{name}.ci95', f'the value {value} lies outside {low} to {high}')


def _error(where, name: str, what: str) -> RecordError:
    from_file = isinstance(where, Path)
    remedy = 'Delete the file and run the task again.' if from_file else 'Fix the code that made the record.'
    return RecordError(f'{where}: field {name}: {what}. {remedy}')


def _metric_to_dict(metric: Metric) -> dict:
    return dict(vars(metric), ci95=list(metric.ci95) if metric.ci95 is not None else None)


def _metric_from_dict(data: dict) -> Metric:
    return Metric(**{**data, 'ci95': tuple(data['ci95']) if data['ci95'] is not None else None})


def _plain(value):
    """Numbers of array libraries say what they are with `item`; nothing else is guessed."""
    if isinstance(value, MappingProxyType):
        return dict(value)
    if hasattr(value, 'item'):
        return value.item()
    raise TypeError(f'{type(value).__name__} cannot be kept in a record')


def _canonical(value, name: str):
    if isinstance(value, dict):
        return {str(key): _canonical(part, f'{name}.{key}') for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(part, f'{name}.{i}') for i, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return sorted(_canonical(part, name) for part in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise RecordError(f'{name} is {value}: give a finite number.')
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, 'item'):
        return value.item()
    raise RecordError(
        f'{name}: {type(value).__name__} has no stable text form. '
        f'Give its name or its settings to the fingerprint instead.'
    )


def _refuse_constant(name: str):
    raise ValueError(f'{name} is not a number')


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f'{digits[:20]} is no finite number')
    return number


def _bounded(digits: str) -> int:
    if len(digits) > 300:  # beyond any float: it could be neither shown nor averaged
        raise ValueError(f'a number of {len(digits)} digits')
    return int(digits)
