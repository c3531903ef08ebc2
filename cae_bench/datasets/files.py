"""Lists the files of a data folder without opening any of them."""

import os
from collections.abc import Iterator
from pathlib import Path

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.ppm', '.tif', '.tiff')


def walk(folder: str | Path, suffixes: tuple[str, ...] = IMAGES, prefix: str = '') -> Iterator[tuple[str, os.DirEntry]]:
    """Yields (path relative to `folder` with '/', entry) of the files with these suffixes in any case, unsorted.

    Hidden files and folders are passed over: '._x.jpg', '.ipynb_checkpoints' and the like are nobody's images.
    """
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith('.'):
                continue
            if entry.is_dir():
                below.append(entry.name)
            elif entry.name.lower().endswith(suffixes):
                yield prefix + entry.name, entry
    for name in below:
        yield from walk(os.path.join(folder, name), suffixes, f'{prefix}{name}/')


def names(folder: str | Path, suffixes: tuple[str, ...] = IMAGES) -> list[str]:
    """The sorted relative paths of the files with these suffixes."""
    return sorted(name for name, _ in walk(folder, suffixes))


def sizes(folder: str | Path, suffixes: tuple[str, ...] = IMAGES) -> dict[str, int]:
    """Relative path -> bytes, in sorted order."""
    return dict(sorted((name, entry.stat().st_size) for name, entry in walk(folder, suffixes)))


def folders(folder: str | Path) -> list[str]:
    """The sorted names of the folders directly inside."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith('.'))
