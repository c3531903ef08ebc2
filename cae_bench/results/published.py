"""Published numbers: `results/published/*.yml`, one paper or repository a file; README.md there tells the fields."""

import functools
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..errors import ConfigError, RecordError, nearest
from ..paths import shipped

CONFIDENCES = ('exact-text-seen', 'secondary-source')
Loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Source:
    kind: str
    name: str
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a number was obtained. `column` is the task whose standard recipe it is; a `variant` never shares that."""

    column: str
    head: str
    variant: str | None = None
    schedule: str | None = None
    origin: str | None = None

    @property
    def text(self) -> str:
        return '; '.join(part for part in (self.head, self.schedule) if part)


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    method: str
    backbone: str
    arch: str
    pretrain_data: str
    pretrain_epochs: int | None
    supervision: str | None
    label: str | None = None  # tells models of one method apart: 'no decoder', 'ImageNet-22K'

    @property
    def name(self) -> str:
        return f'{self.method} ({self.label})' if self.label else self.method


@dataclass(frozen=True, kw_only=True)
class Published:
    """One number of one source, in percent."""

    id: str
    file: str  # stem of the YAML file
    source_key: str
    source: Source
    model: Pretrained
    protocol: Protocol
    metric: str
    value: float
    confidence: str
    table: str | None = None
    note: str | None = None
    seed: int | None = None

    @property
    def secondary(self) -> bool:
        return self.confidence == 'secondary-source'

    @property
    def citation(self) -> str:
        return ', '.join(part for part in (self.source.name, self.table, self.source.url) if part)


def published_files() -> list[str]:
    """The stems of the shipped files."""
    return sorted(path.stem for path in shipped('results/published').glob('*.yml'))


def load_published(files: list[str] | None = None) -> list[Published]:
    """The numbers of some files, or of all; raises ConfigError for an unknown file, RecordError for a damaged one."""
    known = published_files()
    for name in files or []:
        if name not in known:
            raise ConfigError(f'no file of published results named {name!r}.{nearest(name, known)}')
    folder = shipped('results/published')
    names = known if files is None else dict.fromkeys(files)
    return [row for name in names for row in read_file(folder / f'{name}.yml')]


@functools.cache
def read_file(path: Path) -> tuple[Published, ...]:
    """The numbers of one file, as they stand there."""
    try:
        data = yaml.load(path.read_text(encoding='utf-8'), Loader)
        sources = {k: Source(**v) for k, v in data['sources'].items()}
        protocols = {k: Protocol(**v) for k, v in data['protocols'].items()}
        models = {k: Pretrained(**v) for k, v in data['models'].items()}
        notes = data.get('notes', {})
        return tuple(_row(dict(r), path.stem, sources, protocols, models, notes) for r in data['results'])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordError(
            f'{path}: not a file of published results ({type(error).__name__}: {error}). '
            f'See README.md beside it for the fields.'
        ) from error


def _row(row: dict, file: str, sources: dict, protocols: dict, models: dict, notes: dict) -> Published:
    if row['confidence'] not in CONFIDENCES:
        raise ValueError(f'{row["id"]}: confidence {row["confidence"]!r} is none of {CONFIDENCES}')
    note = notes[row.pop('note')] if 'note' in row else None
    key = row.pop('source')
    return Published(
        file=file,
        source_key=key,
        source=sources[key],
        model=models[row.pop('model')],
        protocol=protocols[row.pop('protocol')],
        note=note,
        **row,
    )


def resolve_methods(names: list[str], rows: list[Published]) -> list[str]:
    """The methods meant by `names`, whatever their case; raises ConfigError with the nearest names."""
    known = {row.model.method.lower(): row.model.method for row in rows}
    wanted = [name.strip().lower() for name in names]
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f'no published method named {name!r}.{nearest(name, known)} `cae-bench ls published` lists them all.'
            )
    return [known[name] for name in dict.fromkeys(wanted)]
