"""Constants of a recipe that go with the length of the pretraining: which were taken, and why.

A config's header says them: `by_pretraining={'optim_wrapper.optimizer.lr': {300: 3e-4, 800: 2e-4, 1600: 1e-4}}`. The value
in the config itself is the default, for files of which the length is not known.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from mmengine.config import Config

    from ..checkpoints import Checkpoint

# 800e, 1600ep, 300_epochs: not the 1e-4 of a learning rate, nor the end of another word
IN_NAME = re.compile(r'(?<![0-9.])(\d{2,5})[ _-]?(?:e|ep|eps|epoch|epochs)(?![a-z]|-?\d)')


def apply(cfg: 'Config', ckpt: 'Checkpoint', asked: int | None, overrides: dict) -> None:
    """Puts the constants of this file's length of pretraining into the config, and into its header what they were.

    asked: of --epochs-pretrained. It goes before what the file says, and that before the file's name.
    overrides: of --cfg-options; a constant that stands there is left to it.
    """
    if asked is not None and asked < 1:
        raise ConfigError(f'--epochs-pretrained {asked}: give the number of epochs, e.g. 800')
    tables = cfg.benchmark.get('by_pretraining')
    if not tables:
        return
    epochs, source = (asked, '--epochs-pretrained') if asked else known_length(ckpt)
    lines = []
    for path, values in ((path, values) for path, values in tables.items() if path not in overrides):
        *parents, last = path.split('.')
        place = cfg
        for part in parents:
            place = place[part]
        values = {int(length): value for length, value in values.items()}
        default = place[last]
        place[last] = values.get(epochs, default)
        lines.append(_line(path, values, place[last], epochs, source))
    cfg.benchmark.pretraining = dict(epochs=epochs, source=source, lines=lines)


def known_length(ckpt: 'Checkpoint') -> tuple[int | None, str]:
    """(epochs, where that is said), (None, '') where nothing says it or a name says two things."""
    if ckpt.pretrain_epochs:
        return ckpt.pretrain_epochs, "the file's args"
    named = {int(n) for n in IN_NAME.findall(Path(ckpt.source).stem.lower())} if ckpt.sha256 else set()
    return (named.pop(), "the file's name") if len(named) == 1 else (None, '')


def _line(path: str, values: dict, taken, epochs: int | None, source: str) -> str:
    published = ', '.join(f'{value:g} for {length}' for length, value in sorted(values.items()))
    if epochs in values:
        return f'{path}={taken:g}, as published for {epochs} epochs of pretraining ({source})'
    why = (
        f'nothing is known for {epochs} epochs ({source})'
        if epochs
        else 'how long this file was pretrained is not known, --epochs-pretrained N says it'
    )
    return f'{path}={taken:g}, the default: {why}; published: {published}'


def lines(cfg: 'Config') -> list[str]:
    """What to say of the choice; nothing where the recipe has none."""
    return list(cfg.benchmark.get('pretraining', {}).get('lines', ()))


def check_used(cfgs: list, asked: int | None) -> None:
    """Raises ConfigError where no recipe of a command depends on it."""
    if asked is not None and not any(cfg.benchmark.get('by_pretraining') for cfg in cfgs):
        raise ConfigError(
            f'--epochs-pretrained {asked}: no recipe of these tasks goes with the length of the '
            'pretraining. Leave it out'
        )
