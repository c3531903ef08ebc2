"""Writing so that a file is either the old one or the new one, never half of it."""
import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from ..errors import RecordError


def safe_name(name: str) -> str:
    """A file name for any model name: 'random:vit-tiny' -> 'random_vit-tiny', 'a/../b' -> 'a_.._b'."""
    safe = re.sub(r'[^A-Za-z0-9._+-]+', '_', name).strip('.') or 'unnamed'
    return safe if len(safe) <= 100 else f'{safe[:91]}-{sha256(name.encode()).hexdigest()[:8]}'


def replace_together(writers: dict[Path, Callable[[BinaryIO], None]]) -> None:
    """Writes each file beside its target, makes it durable, then renames all, in the order given; raises RecordError.

    Whatever goes wrong while writing (a full disk, Ctrl-C), the targets stay as they were and no temporary file stays.
    """
    temporary: dict[Path, Path] = {}
    try:
        for target, write in writers.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary[target] = target.with_name(f'.{target.name}.{os.getpid()}.tmp')
            with open(temporary[target], 'wb') as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
        for target, source in temporary.items():
            os.replace(source, target)
    except OSError as error:
        raise RecordError(_reason(next(iter(writers)), error)) from error
    finally:
        for source in temporary.values():
            with contextlib.suppress(OSError):
                source.unlink(missing_ok=True)


def check_writable(folder: str | Path) -> None:
    """Raises RecordError unless files can be made in `folder`, which is created; ask before hours of computing."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix='.writable-') as file:
            file.write(b'cae-bench')
    except OSError as error:
        raise RecordError(_reason(folder, error)) from error


def _reason(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f'{path}: no space left on the disk, nothing was written. Free some space and run the command again.'
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f'{path}: a file stands where a folder is needed. Give another folder with --results.'
    return (f'{path}: cannot be written ({error.strerror or error}). '
            f'Fix the permissions or give another folder with --results.')
