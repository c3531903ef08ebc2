"""Where shipped files lie, how a folder finds its own modules, and how a file is replaced: whole or not at all."""

import contextlib
import errno
import importlib
import os
import pkgutil
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """The folder `configs`, `benchmarks/suites` or `results/published`, wherever this installation keeps it."""
    inside = PACKAGE / '.mim' / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def import_all(package: str, path: Iterable[str]) -> list[ModuleType]:
    """Imports every module directly in a package's folder and returns them in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith('_'))
    return [importlib.import_module(f'{package}.{name}') for name in names]


@contextlib.contextmanager
def replacing(path: Path, alone: bool = False) -> Iterator[Path]:
    """The draft of one file, for a `with` block that writes it: see `replacing_together`."""
    with replacing_together(path, alone=alone) as drafts:
        yield drafts[0]


@contextlib.contextmanager
def replacing_together(*paths: Path, alone: bool = False) -> Iterator[list[Path]]:
    """Drafts beside `paths`, for a `with` block that writes them.

    When the block ends well, every draft is made durable, then takes the place of its file, in the order given: after
    a power failure there is the old file or the new one, whole. Whatever else happens (a full disk, Ctrl-C), the files
    stay as they were and no draft stays. The folders are made.

    Args:
        alone: no other process writes these files, as in a locked folder. The name of a draft is then always the
            same, so that what a killed process left is written over.

    Raises:
        OSError: a folder or file that cannot be written.
    """
    mark = '' if alone else f'{secrets.token_hex(4)}.'
    drafts = [path.with_name(f'.{path.name}.{mark}writing') for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield drafts
        for draft in drafts:
            _sync(draft)
        for draft, path in zip(drafts, paths):
            os.replace(draft, path)
        for folder in dict.fromkeys(path.parent for path in paths):
            _sync_folder(folder)
    finally:
        for draft in drafts:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Makes the new names in a folder durable, on file systems that can."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise
