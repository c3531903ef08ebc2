"""Arrays in files, mapped into memory: with all their room on the disk, or refused; whole, or made anew."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..logs import say

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def create(path: Path, shape: tuple, dtype, purpose: str, remedy: str) -> np.ndarray:
    """A new array of zeros.

    Its room is taken at once: a mapped file that a disk fills up under ends the process without a word (SIGBUS).

    Args:
        purpose, remedy: for the error: what the file is for, where else it could lie.

    Raises:
        ConfigError: the disk has no room for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
    path.unlink(missing_ok=True)
    try:
        array = np.lib.format.open_memmap(path, mode='w+', dtype=dtype, shape=shape)
        _reserve(path)
        return array
    except OSError as error:
        if error.errno not in FULL:
            raise
        path.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free
        raise ConfigError(
            f'{path.parent}: {purpose} needs {_readable(needed)} here and {_readable(free)} are free. '
            f'Free some, or {remedy}.'
        ) from None


def reopen(path: Path, shape: tuple, dtype) -> np.ndarray | None:
    """The array of an earlier run, to be read and written; None where there is none like this, and a line says why."""
    if not path.is_file():
        return None
    wrong = _fault(path, shape, np.dtype(dtype))
    if wrong:
        say(f'{path} {wrong}: it is made anew')
        return None
    try:
        _reserve(path)  # a sparse copy
    except OSError as error:
        if error.errno not in FULL:
            raise
        say(f'{path} has holes, and the disk no room to fill them: it is made anew')
        return None
    return np.lib.format.open_memmap(path, mode='r+')


def _fault(path: Path, shape: tuple, dtype: np.dtype) -> str:
    """What is wrong with a file; NumPy would take one that is cut short, and read zeros beyond its end."""
    try:
        with open(path, 'rb') as file:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            found = read_header[version](file)
            length = os.fstat(file.fileno()).st_size - file.tell()
    except (ValueError, KeyError, SyntaxError, EOFError):
        return 'is no array file' if path.stat().st_size else 'is empty'
    if found != (shape, False, dtype):
        return f'holds {found[0]} {found[2]}, not {shape} {dtype}'
    needed = int(np.prod(shape)) * dtype.itemsize
    return '' if length == needed else f'holds {length:,} bytes of {needed:,}'


def _reserve(path: Path) -> None:
    """Takes the blocks of a whole file on the disk; OSError where there are too few."""
    size = path.stat().st_size
    with open(path, 'r+b') as file:
        if hasattr(os, 'posix_fallocate'):
            try:
                return os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise
        if size - path.stat().st_blocks * 512 > shutil.disk_usage(path.parent).free:  # no such call here: asks once
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _readable(size: int) -> str:
    unit, scale = next(((u, n) for u, n in (('GB', 1e9), ('MB', 1e6)) if size >= n), ('kB', 1e3))
    return f'{size / scale:,.1f} {unit}'
