"""Writes the compact golden set: python tests/data/pack_golden.py FOLDER_WITH_MANIFEST [TARGET].

Looks in every file for the numbers that the seeds of its case give, and leaves only what `packed_golden.draw` misses.
Reads back what it wrote: every array equals the recorded one, bit by bit.
"""

import hashlib
import io
import json
import lzma
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from packed_golden import FILTERS, GROUP, Drawn, draw, places, uniform, unpack

SMALLEST = 8 * GROUP  # fewer numbers are not worth a row of the table


def uncompressed(path: Path) -> bytes:
    """The file as it is; of .npz files the same arrays without compression."""
    if path.suffix != '.npz':
        return path.read_bytes()
    buffer = io.BytesIO()
    with np.load(path, allow_pickle=False) as data:
        np.savez(buffer, **data)
    return buffer.getvalue()


def float_arrays(content: bytes) -> Iterator[tuple[int, np.ndarray]]:
    """(offset in the file, numbers) of the float32 arrays in an uncompressed .npz or a torch archive.

    A plane of an image is an array of its own. The storages of a torch archive have no type: all are tried.
    """
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return
    for member in zipfile.ZipFile(io.BytesIO(content)).infolist():
        lengths = np.frombuffer(content, '<u2', 2, member.header_offset + 26)
        start, size = member.header_offset + 30 + int(lengths.sum()), member.file_size
        planes = 1
        if member.filename.endswith('.npy'):
            array = np.load(io.BytesIO(content[start : start + size]))
            if array.dtype != np.float32:
                continue
            start, size = start + size - array.nbytes, array.nbytes
            planes = array.shape[0] * array.shape[1] if is_image(member.filename, array) else 1
        for i in range(planes if size % 4 == 0 else 0):
            step = size // planes
            yield start + i * step, np.frombuffer(content, np.float32, step // 4, start + i * step)


def is_image(name: str, array: np.ndarray) -> bool:
    return array.ndim == 4 and 'images' in name


def seeds_of(manifest: dict, file: str) -> list[int]:
    """The seeds of the cases that hold a file."""
    named = [s for case in manifest['cases'].values() if file in case['files'] for s in case['seeds'].values()]
    return sorted({seed for s in named for seed in (s if isinstance(s, list) else [s])})


def find(numbers: np.ndarray, offset: int, seeds: list[int], length: int) -> Drawn | None:
    """Where the numbers stand in the stream of one of the seeds; None where in none."""
    count = len(numbers) // GROUP * GROUP
    numbers = numbers[:count].astype(float)
    if count < SMALLEST or not np.abs(numbers).max() < 1e3 or numbers.std() == 0:  # no float32 that was drawn
        return None
    pixels = bool((numbers * 16 == np.round(numbers * 16)).all())
    for seed in seeds:
        for position in positions(
            numbers - np.median(numbers) * pixels, uniform(seed, length), 0.06 if pixels else 1e-4
        ):
            standard = draw(Drawn(offset, count, seed, position, 0.0, 1.0, False))
            if len(standard) == count and np.corrcoef(standard, numbers)[0, 1] > 0.95:
                return fit(Drawn(offset, count, seed, position, 0.0, 1.0, pixels), standard, numbers)
    return None


def positions(numbers: np.ndarray, stream: np.ndarray, tolerance: float) -> Iterator[int]:
    """Places of a stream whose angles are those of the first groups of some normal numbers, however scaled."""
    for group in range(min(8, len(numbers) // GROUP)):
        cos, sin = numbers[group * GROUP :][:GROUP].reshape(2, -1)
        angles = np.arctan2(sin, cos) / (2 * np.pi) % 1
        found = np.arange(len(stream) - GROUP)
        for i, angle in enumerate(angles):
            away = np.abs(stream[found + i] - angle)
            found = found[np.minimum(away, 1 - away) < tolerance]
        starts = found - GROUP // 2 - group * GROUP
        yield from map(int, starts[(starts >= 0) & (starts + len(numbers) <= len(stream))])


def fit(drawn: Drawn, standard: np.ndarray, numbers: np.ndarray) -> Drawn:
    """With the mean and the deviation under which most numbers are met exactly."""
    inner = np.abs(numbers) < 2.9 if drawn.pixels else slice(None)
    if drawn.pixels:
        return drawn._replace(mean=round(float(np.mean((numbers - standard)[inner])), 6))
    std = float(np.median(numbers / standard))
    nice = [1 / round(std**-2) ** 0.5, round(std, 3), std]
    met = [np.sum(draw(drawn._replace(std=s)) == numbers.astype(np.float32)) for s in nice]
    return drawn._replace(std=nice[int(np.argmax(met))])


def pack(content: bytes, seeds: list[int]) -> tuple[bytes, list[Drawn]]:
    """(packed file, its drawn numbers)."""
    length = len(content) // 2  # more uniform numbers than a file of this size can hold
    found = [find(numbers, offset, seeds, length) for offset, numbers in float_arrays(content)]
    rows, left = list(filter(None, found)), bytearray(content)
    for drawn in rows:
        difference = places(left, drawn) - draw(drawn).view(np.int32)
        places(left, drawn)[:] = (difference << 1) ^ (difference >> 31)
    return min((lzma.compress(left, filters=f) for f in (FILTERS, None)), key=len), rows


def main(source: Path, target: Path = TESTS / 'data/golden') -> None:
    manifest, table = json.loads((source / 'MANIFEST.json').read_text()), {}
    target.mkdir(parents=True, exist_ok=True)
    for file in manifest['files']:
        content = uncompressed(source / file)
        packed, rows = pack(content, seeds_of(manifest, file))
        (target / f'{file}.xz').write_bytes(packed)
        table |= {file: rows} if rows else {}
        manifest['files'][file] = dict(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        print(f'{file}: {(source / file).stat().st_size} -> {len(packed)}, {sum(r.count for r in rows)} numbers drawn')
    (target / 'MANIFEST.json').write_text(json.dumps(manifest, indent=1) + '\n')
    lines = (f'"{file}": [\n' + ',\n'.join(map(json.dumps, rows)) + ']' for file, rows in table.items())
    (target / 'DRAWN.json').write_text('{' + ',\n'.join(lines) + '}\n')
    for file, entry in manifest['files'].items():
        assert hashlib.sha256(unpack(target, file)).hexdigest() == entry['sha256'], f'{file} does not come back'


if __name__ == '__main__':
    main(*map(Path, sys.argv[1:]))
