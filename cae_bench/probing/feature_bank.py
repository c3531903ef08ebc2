"""Pooled features of all training images, on disk and mapped into memory: what k-NN and ridge heads look things up in.

A file outlives the process that writes it: after an interruption the rows that were written are still there.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import mapped_file


class FeatureBank:
    """Rows of one feature by image index, with their labels; -1 marks a row not yet written, -2 an image left out.

    Args:
        folder: where the files live; None keeps the bank in memory.
        fresh: off: goes on with the files of an earlier run, where they are whole.

    Raises:
        ConfigError: the disk has no room.
    """

    SKIPPED = -2
    WHAT, ELSEWHERE = 'feature bank', 'name another folder with --results'

    def __init__(self, feature: str, size: int, dims: int, folder: str | Path | None = None, fresh: bool = True):
        self.feature, self.folder = feature, None if folder is None else Path(folder)
        self.size, self.dims = size, dims
        self.rows, self.labels = self._open(fresh)  # (size, dims) float32, (size,) int64

    def _open(self, fresh: bool) -> tuple[np.ndarray, np.ndarray]:
        """Rows and labels of an earlier run, else new ones."""
        if self.folder is None:
            return np.zeros((self.size, self.dims), np.float32), np.full(self.size, -1, np.int64)
        row_file, label_file = (self.folder / f'bank_{self.feature}_{part}.npy' for part in ('rows', 'labels'))
        if not fresh:
            rows = mapped_file.reopen(row_file, (self.size, self.dims), np.float32)
            labels = mapped_file.reopen(label_file, (self.size,), np.int64)
            if rows is not None and labels is not None:  # one without the other is worth nothing
                return rows, labels
        purpose = f'the {self.WHAT} {self.feature!r}'
        rows = mapped_file.create(row_file, (self.size, self.dims), np.float32, purpose, self.ELSEWHERE)
        labels = mapped_file.create(label_file, (self.size,), np.int64, purpose, self.ELSEWHERE)
        labels[:] = -1
        return rows, labels

    def write(self, index: Tensor, rows: Tensor, labels: Tensor) -> None:
        """index: (B,) positions of the images; rows: (B, D); labels: (B,)."""
        positions = index.cpu().numpy()
        self.rows[positions] = rows.float().cpu().numpy()
        self.labels[positions] = labels.cpu().numpy()  # last: a row counts as written only with its label

    @property
    def complete(self) -> bool:
        return bool((self.labels != -1).all())

    def blocks(self, size: int, device) -> Iterator[tuple[Tensor, Tensor]]:
        """(rows, labels) in order, `size` at a time; images left out are not among them."""
        for start in range(0, len(self.labels), size):
            part = slice(start, start + size)
            there = np.asarray(self.labels[part]) >= 0
            yield (
                torch.from_numpy(np.asarray(self.rows[part])[there]).to(device),
                torch.from_numpy(np.asarray(self.labels[part])[there]).to(device),
            )

    def delete(self) -> None:
        del self.rows, self.labels
        if self.folder is not None:
            for path in self.folder.glob(f'bank_{self.feature}_*.npy'):
                path.unlink(missing_ok=True)
