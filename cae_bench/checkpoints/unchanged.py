"""A file stays the same while it is hashed and its weights are taken, or that is an error that names it."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import CheckpointError

TICK = 0.05  # seconds; a file's time of change is as coarse as the kernel's clock, 1 to 10 ms


@contextlib.contextmanager
def unchanged(path: str | Path) -> Iterator[None]:
    """What is read from `path` inside is one version of the file; CheckpointError where another took its place.

    Told by inode, size, time of modification and time of change: the last one moves with a rename too, and no program
    can set it back.
    """
    before = _version(path)
    if before and (age := time.time() - before[-1] / 1e9) < TICK:
        time.sleep(min(TICK, TICK - age))  # so that a write from now on has another time
        before = _version(path)
    try:
        yield
    except CheckpointError:
        if before and _version(path) != before:  # half of it was read: its own damage is not the news
            raise CheckpointError(_changed(path)) from None
        raise
    if _version(path) != before:
        raise CheckpointError(_changed(path))


def check_hash(source: str | Path, sha256: str | None, expected: str | None) -> None:
    """Raises CheckpointError where a source holds other weights than those whose hash was taken before."""
    if expected is not None and sha256 != expected:
        raise CheckpointError(
            f'{source} has changed since this run was planned: its sha256 is {str(sha256)[:12]}..., '
            f'and was {expected[:12]}... A score must be of the file that its record names: start again, '
            'best with a copy that nobody writes to.'
        )


def _version(path: str | Path) -> tuple | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _changed(path: str | Path) -> str:
    return f'{path} was changed or replaced while it was read: start again, best with a copy that nobody writes to.'
