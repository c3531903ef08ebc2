"""What each detection met, as flat arrays: enough to compute AP again for any draw of images. NumPy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

IOUS = np.linspace(0.5, 0.95, 10)  # thresholds of a hit


@dataclass(frozen=True)
class Matches:
    """D detections of all sizes in N images under C classes, at most 100 per image and class, the best first within each.

    Sorted by image.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = ('truth', 'score', 'label', 'hit', 'ignored')  # what is packed

    image: np.ndarray  # (D,) int, position in the list of images
    label: np.ndarray  # (D,) int, position in the list of classes
    score: np.ndarray  # (D,) float
    hit: np.ndarray  # (D, 10) bool, at each IoU threshold
    ignored: np.ndarray  # (D, 10) bool: met a crowd region, counts neither way
    truth: np.ndarray  # (N, C) int, objects that count

    def pack(self) -> dict[str, list[Any]]:
        """Columns of one entry for each image: `truth`, its objects by class, and lists over its detections.

        Bit t of `hit` and `ignored` is for IoU threshold 0.5 + 0.05 t.
        """
        bits = 1 << np.arange(len(IOUS))
        flat = dict(score=self.score, label=self.label, hit=self.hit @ bits, ignored=self.ignored @ bits)
        ends = np.searchsorted(self.image, np.arange(1, len(self.truth)))
        columns = {'truth': self.truth.tolist()}
        for name, values in flat.items():
            columns[name] = [part.tolist() for part in np.split(values, ends)]
        return columns

    @classmethod
    def unpack(cls, columns: Mapping[str, Sequence[Any]]) -> 'Matches':
        """The columns of `pack()` as flat arrays again."""
        counts = [len(scores) for scores in columns['score']]
        return cls(
            image=np.repeat(np.arange(len(counts)), counts),
            label=_flat(columns['label'], int),
            score=_flat(columns['score'], float),
            hit=_bits(columns['hit']),
            ignored=_bits(columns['ignored']),
            truth=np.array(columns['truth']),
        )


def _flat(lists: Sequence[Sequence[float]], kind: type) -> np.ndarray:
    return np.array([value for values in lists for value in values], dtype=kind)


def _bits(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """(D, 10) bool."""
    return (_flat(lists, int)[:, None] >> np.arange(len(IOUS)) & 1).astype(bool)
