"""The hash of a data set: over the contents of all its files, or of a sample where those are too many to read.

Two machines with the same files get the same hash, whenever those were copied. Of a folder too large to read, the hash
covers all names and sizes and the contents of a fixed sample. A file beyond the sample that is changed at its size is
found by its time of modification: an index keeps the times that this machine saw first, and a file with another one is
read, and counts with its contents too. (A change made before a machine sees the folder for the first time, or one that
sets the time back, is seen only in the sample.)
"""

import hashlib
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..logs import say
from ..paths import replacing

WHOLE_BYTES = 2 << 30  # a folder up to so large, of so many files, is read whole: seconds
WHOLE_FILES = 50_000
SAMPLE = 1000  # files of a larger one that are read: about 110 MB of ImageNet
THREADS = 8

Listings = dict[str, dict[str, int]]  # folder below the root -> path in it -> bytes


@dataclass(frozen=True)
class ContentHash:
    """value: SHA-256; covers: what of the files it depends on, in words for the record."""

    value: str
    covers: str


def content_hash(root: str | Path, listings: Listings, contents: dict[str, bytes] | None = None) -> ContentHash:
    """Hash of the files of a data set below `root`.

    Args:
        contents: name -> bytes of further files that were read already (annotations); all of it counts.

    Raises:
        DataError: a file cannot be read, or its name is no text and could not stand in a record.
    """
    root = Path(root)
    sizes = {
        f'{folder}/{path}'.lstrip('/'): size for folder in sorted(listings) for path, size in listings[folder].items()
    }
    _check_names(root, sizes)
    if len(sizes) <= WHOLE_FILES and sum(sizes.values()) <= WHOLE_BYTES:
        parts, covers = _read(root, sizes), f'names and contents of all {len(sizes):,} files'
    else:
        parts, covers = _sampled(root, sizes)
    parts |= {f'read {name}': hashlib.sha256(raw).hexdigest() for name, raw in (contents or {}).items()}
    return ContentHash(_digest(parts), covers + (f', and of {" and ".join(contents)}' if contents else ''))


def _check_names(root: Path, names: Iterable[str]) -> None:
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(name).decode('utf-8', 'backslashreplace')
            raise DataError(
                f'{root}: the file name {shown} is no UTF-8 text, so no record could name it: rename the file.'
            ) from None


def _sampled(root: Path, sizes: dict[str, int]) -> tuple[dict[str, str], str]:
    """(parts of the hash, what they cover) of a folder that is too large to read."""
    sample = nsmallest(SAMPLE, sizes, key=lambda path: (zlib.crc32(path.encode()), path))
    everything = _digest({path: str(size) for path, size in sizes.items()})
    moved = _moved(root, sizes, everything)
    parts = {'names and sizes': everything} | _read(root, sample)
    covers = f'names and sizes of all {len(sizes):,} files, contents of {len(sample):,}'
    beyond = [path for path in moved if path not in parts]
    if not beyond:
        return parts, covers
    say(f'{root}: {len(beyond):,} files were modified since it was first hashed here; the data count as other data')
    if len(beyond) <= WHOLE_FILES and sum(sizes[path] for path in beyond) <= WHOLE_BYTES:
        return parts | _read(root, beyond), covers + f' and of {len(beyond):,} that were modified since'
    times = {path: f'modified {moved[path]}' for path in beyond}
    return parts | times, covers + f', times of {len(beyond):,} that were modified since'


def _moved(root: Path, sizes: dict[str, int], everything: str) -> dict[str, int]:
    """Files whose time of modification is another than this machine saw first -> the time, in ns."""
    paths = list(sizes)
    now = np.fromiter((_modified(root / path) for path in paths), np.int64, len(paths))
    # A set of names and sizes has an index of its own: it is still there when a file that came is gone again.
    where = hashlib.sha256(f'{root.resolve()}\0{root.stat().st_ino}\0{everything}'.encode('utf-8', 'surrogateescape'))
    index = index_folder() / f'{where.hexdigest()[:24]}.npy'
    try:
        first = np.load(index)
        if first.shape != now.shape or first.dtype != now.dtype:
            raise ValueError('another number of files')
    except (FileNotFoundError, NotADirectoryError):
        first = _keep(index, now)
    except (OSError, ValueError, EOFError) as error:
        say(f'{index} is damaged ({error}): begun anew. Changes to {root} since it was first hashed are not known')
        first = _keep(index, now)
    return {paths[i]: int(now[i]) for i in np.flatnonzero(first != now)}


def index_folder() -> Path:
    """`data_index` in $CAE_BENCH_CACHE, else in ~/.cache/cae_bench."""
    return Path(os.environ.get('CAE_BENCH_CACHE') or Path.home() / '.cache/cae_bench') / 'data_index'


def _keep(index: Path, times: np.ndarray) -> np.ndarray:
    try:
        with replacing(index) as draft, open(draft, 'wb') as file:
            np.save(file, times)
    except OSError as error:
        say(
            f'{index} cannot be written ({error.strerror}): later changes of files at their size will not be seen. '
            'Name another folder with CAE_BENCH_CACHE'
        )
    return times


def _read(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Path -> SHA-256 of the file."""
    paths = list(paths)
    with ThreadPoolExecutor(THREADS) as pool:  # hashing lets other threads run
        return dict(zip(paths, pool.map(lambda path: _of_file(root / path), paths, chunksize=64)))


def _of_file(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, 'rb', buffering=0) as file:
            while block := file.read(1 << 22):
                digest.update(block)
    except OSError as error:
        raise DataError(f'{path} cannot be read ({error.strerror}): repair or delete it.') from None
    return digest.hexdigest()


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise DataError(f'{path} cannot be read ({error.strerror}): repair or delete it.') from None


def _digest(parts: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f'{name}\0{parts[name]}\n'.encode())
    return digest.hexdigest()
