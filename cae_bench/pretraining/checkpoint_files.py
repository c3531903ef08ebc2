"""Files of a pretraining run: written whole or not at all, the newest found again, and read without running code."""

import contextlib
from pathlib import Path

import torch

from ..checkpoints import safe_load
from ..checkpoints.pointer import POINTER, pointed
from ..errors import CheckpointError
from ..logs import say
from ..paths import replacing

FORMAT = 'cae_bench/pretrain/1'


def save(content: dict, path: Path) -> None:
    """A checkpoint, and the folder's pointer to it."""
    save_weights(content, path)
    with replacing(path.with_name(POINTER), alone=True) as draft:
        draft.write_text(path.name)


def save_weights(content: dict, path: Path) -> None:
    try:
        # An open file, not its name: torch writes the name of a file into it.
        with replacing(path, alone=True) as draft, open(draft, 'wb') as file:
            torch.save(dict(content, format=FORMAT), file)
    except RuntimeError as error:  # how torch's zip writer reports a full disk
        raise OSError('no space left on the disk, it seems') from error


def newest(folder: Path) -> tuple[Path, dict] | None:
    """The checkpoint to go on from and what it holds; None in a folder without a run.

    It is the one that the folder's pointer names. Where that is gone or damaged it is the newest other one that can be
    read, and a line says so.

    Raises:
        CheckpointError: none can be read; the error is that of the checkpoint that the pointer names.
    """
    try:
        path = pointed(folder)
        return path and (path, read(path))
    except CheckpointError as error:
        for path in sorted(folder.glob('*.pth'), key=lambda path: path.stat().st_mtime_ns, reverse=True):
            with contextlib.suppress(CheckpointError):  # the pointer's again, or a finished file: weights alone
                content = read(path)
                say(f'{error} Goes on from {path.name}')
                return path, content
        raise


def is_finished(path: Path) -> bool:
    """Whether a file is what a run leaves at its end: weights without an optimizer."""
    content = safe_load.read(path, mmap=True)
    return isinstance(content, dict) and content.get('format') == FORMAT and 'optimizer' not in content


def read(path: Path) -> dict:
    """A checkpoint of a run, with optimizer and position."""
    content = safe_load.read(path)
    if not isinstance(content, dict) or content.get('format') != FORMAT or 'optimizer' not in content:
        raise CheckpointError(
            f'{path} is no checkpoint of cae-bench pretrain that can be resumed (a finished file holds '
            'weights only): name the folder of a run with -o.'
        )
    return content
