"""The checkpoints of a run: found again newest first, checked before anything is taken from them."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from ..checkpoints import safe_load
from ..errors import CheckpointError
from .unwrap import unwrapped

NAME = re.compile(r'(iter|epoch)_(\d+)\.pth')
PARTS = ('meta', 'state_dict', 'optimizer', 'message_hub')


def checkpoints(folder: Path) -> list[Path]:
    """The newest first. Files that are still being written have other names."""
    found = []
    for path in folder.glob('*.pth'):
        if match := NAME.fullmatch(path.name):
            found.append((path.stat().st_mtime_ns, int(match[2]), path))
    return [path for *_, path in sorted(found, reverse=True)]


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """CheckpointError for a file that cannot be read."""
    try:
        yield
    except (CheckpointError, OSError) as error:
        reason = 'is damaged' if path.is_file() else 'is gone'
        raise CheckpointError(f'{path} {reason}: the interrupted run cannot go on from it.') from error


def check(path: Path, model: torch.nn.Module) -> None:
    """Raises CheckpointError for a file that this run cannot go on from: damaged, gone, or of another network."""
    with damage_named(path):
        content = safe_load.read(path, mmap=True)
    content = content if isinstance(content, dict) else {}
    missing = [part for part in PARTS if part not in content]
    if missing:
        raise CheckpointError(f'{path} has no {missing[0]}: the interrupted run cannot go on from it.')
    own = unwrapped(model).state_dict()
    theirs = content['state_dict']
    differ = [
        name
        for name in {*own, *theirs}
        if name not in own or name not in theirs or own[name].shape != theirs[name].shape
    ]
    if differ:
        raise CheckpointError(
            f'{path} is of another network ({sorted(differ)[0]} differs): the run cannot go on from it.'
        )
