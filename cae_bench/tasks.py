"""A task is `<dataset>/<protocol>`: reading tasks and `--data` from the command line."""

from dataclasses import dataclass

from .errors import ConfigError, nearest
from .paths import shipped


@dataclass(frozen=True, order=True)
class Task:
    """One protocol on one data set, as it is written on the command line."""

    dataset: str
    protocol: str

    def __str__(self) -> str:
        return f'{self.dataset}/{self.protocol}'


def protocols() -> list[str]:
    """The folders under configs/, where a new folder adds a protocol; `pretrain` makes encoders and is none."""
    return sorted(
        p.name
        for p in shipped('configs').iterdir()
        if p.is_dir() and not p.name.startswith(('_', '.')) and p.name != 'pretrain'
    )


def parse(text: str) -> Task:
    """'in1k/linear' -> Task. Raises ConfigError for other text, or a protocol that no folder has."""
    dataset, slash, protocol = text.strip().partition('/')
    if not (dataset and slash and protocol):
        raise ConfigError(f'{text!r} is no task. A task is <dataset>/<protocol>, e.g. in1k/linear or camvid/upernet.')
    if protocol not in protocols():
        raise ConfigError(f'{text}: no protocol named {protocol!r}.{nearest(protocol, protocols())}')
    return Task(dataset, protocol)


def parse_all(texts: list[str]) -> list[Task]:
    """In the order given, each task once."""
    return list(dict.fromkeys(parse(text) for text in texts if text.strip()))


def parse_data(pairs: list[str]) -> dict[str, str]:
    """['camvid=DIR', ...] -> {'camvid': 'DIR'}. Raises ConfigError for other text."""
    folders: dict[str, str] = {}
    for pair in pairs:
        name, equals, folder = pair.partition('=')
        if not (name and equals and folder):
            raise ConfigError(f'--data {pair}: expected NAME=DIR, e.g. --data camvid=data/camvid')
        folders[name] = folder
    return folders
