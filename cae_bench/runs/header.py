"""The header of a config: its `benchmark` dict, typed and checked. What mmengine's Runner takes stands beside it."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from mmengine.config import Config

from ..errors import ConfigError, nearest


@dataclass(frozen=True)
class MetricKind:
    """How a metric is read."""

    unit: str
    higher_is_better: bool


@dataclass(frozen=True)
class Pretraining:
    """Which constants a run has taken for the length of the pretraining."""

    epochs: int | None  # None where nothing says it
    source: str  # '--epochs-pretrained', "the file's args" or "the file's name"; '' where nothing says it
    lines: list[str]  # one sentence for each constant, said when the run starts


@dataclass(frozen=True, kw_only=True)
class Header:
    """A protocol's own facts. The second part is what building a run adds for the record; no config file says it."""

    version: int  # of the protocol: whatever can move a score raises it
    layout: str  # of the data: one of datasets.layouts
    frozen: bool  # heads on frozen features, which several protocols train in one pass
    metrics: Mapping[str, MetricKind]  # by the name that the evaluator gives it; the first is the headline
    fit: Mapping[str, str]  # place -> what of data or backbone is put there, see runs.fit
    schedule: tuple[str, ...] = ()  # places of the lengths that --shorten scales together
    global_batch: int | None = None  # images of an update as published; None: the loader's batch, for one device
    devices: int | None = None  # that shared it when it was published
    random_numbers_per: str = 'micro_batch'  # 'update': every device drew the same paths to drop
    by_pretraining: Mapping[str, Mapping[int, float]] | None = None  # place -> {epochs of pretraining: constant}
    constants_of: str | None = None  # the recipe that this one borrows its constants from
    published_amp: str | None = None  # precision as published, where it is not fp32
    typical_size: tuple[int, int] | None = None  # (height, width) for the estimate of --dry-run

    config: str = ''  # the file below configs/: 'upernet/vit-base.py'
    batch: str | None = None  # how the published batch is made here
    processes: int = 1  # that share the batch of a recipe for one device
    pretraining: Pretraining | None = None
    input_size: str | None = None  # which sizes were rounded to whole patches

    @property
    def remarks(self) -> list[str]:
        """What to say of a run before it starts, beside its batch."""
        lines = self.pretraining.lines if self.pretraining else []
        return [*lines, self.input_size] if self.input_size else lines

    @classmethod
    def of(cls, cfg: Config) -> 'Header':
        """The header of a config, as shipped or resolved.

        Raises:
            ConfigError: a key that no header has, one that is missing, or a value of another kind.
        """
        values = dict(cfg.get('benchmark') or {})
        where = f'{values.get("config") or cfg.filename}: benchmark'
        known = {f.name: f for f in fields(cls)}
        for key in values:
            if key not in known:
                raise ConfigError(f'{where}.{key}: a header has no such key.{nearest(key, known)}')
        required = [key for key, f in known.items() if f.default is MISSING]
        if missing := [key for key in required if key not in values]:
            raise ConfigError(f'{where} lacks {", ".join(missing)}')
        optional = {key: value for key, value in values.items() if value is not None or key in required}
        return cls(**{key: _read(f'{where}.{key}', value, *READERS[key]) for key, value in optional.items()})

    def note(self, cfg: Config, **facts: Any) -> 'Header':
        """This header with facts that building a run has found, which the config keeps for the record."""
        plain = {key: asdict(value) if isinstance(value, Pretraining) else value for key, value in facts.items()}
        cfg.benchmark.update(plain)
        return replace(self, **facts)


def _read(where: str, value: Any, read: Callable[[Any], Any], expected: str) -> Any:
    try:
        return read(value)
    except (TypeError, ValueError, AttributeError):
        raise ConfigError(f'{where}={value!r}: expected {expected}') from None


def _is(kind: type) -> Callable[[Any], Any]:
    """A reader that takes values of exactly this type: True is no whole number."""

    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


def _positive(value: Any) -> int:
    if _is(int)(value) < 1:
        raise ValueError
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError  # a string is a list of letters
    return tuple(map(_is(str), values))


def _tables(tables: Any) -> dict[str, dict[int, float]]:
    """JSON and dumped configs have text in the place of whole numbers for keys."""
    return {place: {int(epochs): float(v) for epochs, v in table.items()} for place, table in tables.items()}


def _size(value: Any) -> tuple[int, int]:
    height, width = map(_positive, value)
    return height, width


TEXT, COUNT = (_is(str), 'text'), (_positive, 'a whole number from 1')
# key -> (how it is read, what it is, for the message)
READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    'version': COUNT,
    'layout': TEXT,
    'frozen': (_is(bool), 'True or False'),
    'metrics': (
        lambda kinds: {name: MetricKind(**kind) for name, kind in kinds.items()},
        'NAME=dict(unit=..., higher_is_better=...) of each metric',
    ),
    'fit': (
        lambda places: {place: _is(str)(what) for place, what in places.items()},
        'a dict of place: name of a value',
    ),
    'schedule': (_texts, 'a list of places'),
    'global_batch': COUNT,
    'devices': COUNT,
    'random_numbers_per': TEXT,
    'by_pretraining': (_tables, 'a dict of place: {epochs: number}'),
    'constants_of': TEXT,
    'published_amp': TEXT,
    'typical_size': (_size, '(height, width) in pixels'),
    'config': TEXT,
    'batch': TEXT,
    'processes': COUNT,
    'pretraining': (lambda known: Pretraining(**known), 'what runs.pretraining_length has found'),
    'input_size': TEXT,
}
