"""Constants of a recipe that go with the length of the pretraining: which were taken, and why.

A config's header says them: `by_pretraining={'optim_wrapper.optimizer.lr': {300: 3e-4, 800: 2e-4, 1600: 1e-4}}`. The value
in the config itself is the default, for files of which the length is not known.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..checkpoints import Checkpoint
from ..errors import ConfigError
from . import places
from .header import Header, Pretraining

# 800e, 1600ep, 300_epochs: not the 1e-4 of a learning rate, nor the end of another word
IN_NAME = re.compile(r'(?<![0-9.])(\d{2,5})[ _-]?(?:e|ep|eps|epoch|epochs)(?![a-z]|-?\d)')


def apply(cfg: Config, header: Header, ckpt: Checkpoint, option: int | None, overrides: Mapping[str, Any]) -> None:
    """Puts the constants of this file's length of pretraining into the config, and into its header what they were.

    Args:
        option: of --epochs-pretrained. It goes before what the file says, and that before the file's name.
        overrides: of --cfg-options; a constant that stands there is left to it.
    """
    if option is not None and option < 1:
        raise ConfigError(f'--epochs-pretrained {option}: give the number of epochs, e.g. 800')
    if not header.by_pretraining:
        return
    epochs, source = (option, '--epochs-pretrained') if option else known_length(ckpt)
    lines = []
    for path, constants in header.by_pretraining.items():
        if path in overrides:
            continue
        place, last = places.find(cfg, path)
        if epochs is not None and epochs in constants:
            place[last] = constants[epochs]
        lines.append(_line(path, constants, place[last], epochs, source))
    header.note(cfg, pretraining=Pretraining(epochs, source, lines))


def known_length(ckpt: Checkpoint) -> tuple[int | None, str]:
    """(epochs, where that is said), (None, '') where nothing says it or a name says two things."""
    if ckpt.pretrain_epochs:
        return ckpt.pretrain_epochs, "the file's args"
    named = {int(n) for n in IN_NAME.findall(Path(ckpt.source).stem.lower())} if ckpt.sha256 else set()
    return (named.pop(), "the file's name") if len(named) == 1 else (None, '')


def _line(path: str, constants: Mapping[int, float], taken: float, epochs: int | None, source: str) -> str:
    published = ', '.join(f'{value:g} for {length}' for length, value in sorted(constants.items()))
    if epochs in constants:
        return f'{path}={taken:g}, as published for {epochs} epochs of pretraining ({source})'
    why = (
        f'nothing is known for {epochs} epochs ({source})'
        if epochs
        else 'how long this file was pretrained is not known, --epochs-pretrained N says it'
    )
    return f'{path}={taken:g}, the default: {why}; published: {published}'


def check_used(headers: Iterable[Header], option: int | None) -> None:
    """Raises ConfigError where no recipe of a command depends on it."""
    if option is not None and not any(header.by_pretraining for header in headers):
        raise ConfigError(
            f'--epochs-pretrained {option}: no recipe of these tasks goes with the length of the '
            'pretraining. Leave it out'
        )
