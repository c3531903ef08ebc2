"""The configs of configs/pretrain, by name."""

from pathlib import Path

from ..errors import ConfigError, nearest
from ..paths import shipped


def find(config: str) -> Path:
    """A file, or the config of that name."""
    if Path(config).is_file():
        return Path(config)
    folder = shipped('configs') / 'pretrain'
    path = folder / f'{config.removesuffix(".py")}.py'
    if not path.is_file():
        raise ConfigError(f'{config}: no such file, and no pretraining config of this name.{nearest(config, names())}')
    return path


def names() -> list[str]:
    return sorted(p.stem for p in (shipped('configs') / 'pretrain').glob('*.py'))
