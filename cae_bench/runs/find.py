"""Which config file a protocol has for a backbone, and whose constants those are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.config import Config

from ..errors import ConfigError
from ..paths import shipped
from .header import Header

if TYPE_CHECKING:  # importing checkpoints imports torch; listing the protocols needs none
    from ..checkpoints import ViTSpec


def find_config(protocol: str, spec: ViTSpec, recipe: str) -> Path:
    """configs/<protocol>/mini.py, or for the paper's recipe the most specific one.

    That is the one of family and arch, then of the arch, of the family's base, of any base.
    """
    folder = shipped('configs') / protocol
    names = {
        'mini': ['mini.py'],
        'paper': [f'{spec.family}_{spec.arch}.py', f'{spec.arch}.py', f'{spec.family}_vit-base.py', 'vit-base.py'],
    }
    if recipe not in names:
        raise ConfigError(f'no recipe named {recipe!r}: choose paper (as published) or mini (minutes on a laptop)')
    for name in names[recipe]:
        if (folder / name).is_file():
            return folder / name
    others = [r for r in names if any((folder / n).is_file() for n in names[r])]
    hint = f' Use --recipe {others[0]}.' if others else ''
    raise ConfigError(f'{protocol} has no {recipe} recipe for {spec.family} {spec.arch} in this version.{hint}')


@cache
def read(path: Path) -> Config:
    """A config as shipped; not to be changed, for it is kept."""
    return Config.fromfile(path)


def read_header(path: Path) -> Header:
    """The header of a config as shipped."""
    return Header.of(read(path))


def as_shipped(header: Header) -> Config:
    """The file that a resolved config was made from."""
    return read(shipped('configs') / header.config)


def borrowed(cfg: Config, header: Header, spec: ViTSpec) -> str:
    """One line where no official recipe is known for this backbone and the constants are another's; else ''.

    Frozen protocols have one recipe for every backbone that has none of its own. `constants_of` in a config's header
    names what it took its constants from.
    """
    path, source = Path(header.config), header.constants_of
    own = path.stem == f'{spec.family}_{spec.arch}'
    frozen = header.frozen or cfg.model.backbone.get('frozen')
    if frozen or path.name == 'mini.py' or (own and not source):
        return ''
    return (
        f'no official recipe of {path.parent} is known for {spec.family} {spec.arch}: the constants are those of '
        f'{source or path.stem}'
    )
