"""What each validation image showed. Packs itself into a record's Parquet columns and unpacks from them. NumPy only.

Columns have one entry for each image; `image`, its name, is the first of them. Of columns that older records do not have,
`unpack` makes None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .matches import Matches

Columns = Mapping[str, Sequence[Any]]


class PerImage(Protocol):
    """Any of the classes below."""

    def pack(self) -> dict[str, list[Any]]:
        """Column name -> one value for each image, `image` first."""
        ...


@dataclass(frozen=True)
class Predictions:
    """Classification of N images."""

    images: list[str]  # names, (N,)
    correct: np.ndarray  # (N,) bool: prediction and label agree
    label: np.ndarray | None = None  # (N,) int
    prediction: np.ndarray | None = None  # (N,) int, the class of the highest score

    @classmethod
    def of(cls, images: list[str], label: np.ndarray, prediction: np.ndarray) -> 'Predictions':
        return cls(images, prediction == label, label, prediction)

    def pack(self) -> dict[str, list[Any]]:
        columns = dict(label=self.label, prediction=self.prediction, correct=self.correct)
        kept = {name: column.tolist() for name, column in columns.items() if column is not None}
        return {'image': list(self.images), **kept}

    @classmethod
    def unpack(cls, columns: Columns) -> 'Predictions | None':
        """None for columns of another kind of task."""
        if 'correct' not in columns:
            return None
        label, prediction = (_array(columns, name) for name in ('label', 'prediction'))
        return cls(list(columns['image']), np.asarray(columns['correct'], bool), label, prediction)


@dataclass(frozen=True)
class Counts:
    """Pixels of N images under C classes, (N, C) int each: IoU is the ratio of sums over images."""

    images: list[str]  # names, (N,)
    intersection: np.ndarray  # labelled and predicted as the class
    union: np.ndarray  # labelled or predicted as it
    label: np.ndarray | None = None  # labelled as it

    def pack(self) -> dict[str, list[Any]]:
        columns = dict(intersection=self.intersection, union=self.union, label=self.label)
        kept = {name: column.tolist() for name, column in columns.items() if column is not None}
        return {'image': list(self.images), **kept}

    @classmethod
    def unpack(cls, columns: Columns) -> 'Counts | None':
        """None for columns of another kind of task."""
        if not {'intersection', 'union'} <= set(columns):
            return None
        intersection, union = np.asarray(columns['intersection']), np.asarray(columns['union'])
        return cls(list(columns['image']), intersection, union, _array(columns, 'label'))


@dataclass(frozen=True)
class Detections:
    """Detections in N images and what each of them met, by kind: 'bbox', 'segm'."""

    images: list[str]  # names, (N,)
    matches: dict[str, Matches]

    def pack(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {'image': list(self.images)}
        for kind, matches in self.matches.items():
            columns |= {f'{kind}_{name}': column for name, column in matches.pack().items()}
        return columns

    @classmethod
    def unpack(cls, columns: Columns) -> 'Detections | None':
        """None for columns of another kind of task."""
        kinds = [kind for kind in ('bbox', 'segm') if f'{kind}_hit' in columns]
        if not kinds:
            return None
        matches = {}
        for kind in kinds:
            matches[kind] = Matches.unpack({name: columns[f'{kind}_{name}'] for name in Matches.COLUMNS})
        return cls(list(columns['image']), matches)


def _array(columns: Columns, name: str) -> np.ndarray | None:
    return np.asarray(columns[name]) if name in columns else None
