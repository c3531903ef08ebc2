"""The compact golden set: the recorded files themselves, packed without loss.

Random weights and images take most of the room, and the manifest gives the seeds that they were drawn from. So a
packed file holds, in the place of such numbers, how far the recorded bits are from those that `draw` gives: mostly
zeros. `DRAWN.json` says which numbers of which file these are. The rest is XZ. `tests/data/pack_golden.py` writes it.
"""

import json
import lzma
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

FILTERS = [{'id': lzma.FILTER_LZMA2, 'preset': 9 | lzma.PRESET_EXTREME, 'lc': 0, 'lp': 2, 'pb': 2}]  # for 4-byte floats
GROUP = 16  # torch draws normal numbers in groups: 8 radii, then 8 angles
f32 = np.float32


class Drawn(NamedTuple):
    """Float32 numbers of a file that came from a seeded generator."""

    offset: int  # of their first byte in the unpacked file
    count: int  # of numbers: a multiple of GROUP
    seed: int
    position: int  # uniform numbers drawn before these
    mean: float
    std: float
    pixels: bool  # rounded to sixteenths and cut at -3 and 3


@cache
def uniform(seed: int, count: int) -> np.ndarray:
    """(count,) float32 in [0, 1): what torch.rand gives on a CPU after manual_seed(seed)."""
    words = np.frombuffer(np.random.RandomState(seed).bytes(4 * count), '<u4')
    return (words & 0xFFFFFF).astype(f32) / f32(2**24)


def draw(drawn: Drawn) -> np.ndarray:
    """(count,) float32: torch.randn on a CPU, to a few units in the last place (its vector units differ in those)."""
    pairs = uniform(drawn.seed, drawn.position + drawn.count)[drawn.position :].reshape(-1, 2, GROUP // 2)
    radius = np.sqrt(f32(-2) * np.log((f32(1) - pairs[:, 0]).astype(float)).astype(f32))
    angle = (f32(2 * np.pi) * pairs[:, 1]).astype(float)
    normal = np.stack([np.cos(angle).astype(f32) * radius, np.sin(angle).astype(f32) * radius], 1).ravel()
    numbers = normal * f32(drawn.std) + f32(drawn.mean)
    return np.clip(np.round(numbers * 16) / 16, -3, 3).astype(f32) if drawn.pixels else numbers


def places(content: bytearray, drawn: Drawn) -> np.ndarray:
    """A view of these numbers in a file's bytes, as integers."""
    return np.frombuffer(content, np.int32, drawn.count, drawn.offset)


def all_drawn(folder: Path) -> dict[str, list[Drawn]]:
    """File -> its drawn numbers."""
    return {
        file: [Drawn(*row) for row in rows] for file, rows in json.loads((folder / 'DRAWN.json').read_text()).items()
    }


def unpack(folder: Path, file: str) -> bytes:
    """The bytes of a packed file."""
    content = bytearray(lzma.decompress((folder / f'{file}.xz').read_bytes()))
    for drawn in all_drawn(folder).get(file, []):
        steps = places(content, drawn).view(np.uint32)  # 0, 1, 2, 3, 4: differences of 0, -1, 1, -2, 2
        difference = (steps >> 1).astype(np.int32) ^ -(steps & 1).astype(np.int32)
        places(content, drawn)[:] = draw(drawn).view(np.int32) + difference
    return bytes(content)
