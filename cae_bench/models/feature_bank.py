"""Pooled features of all training images, on disk and mapped into memory: what k-NN and ridge heads look things up in.

A file outlives the process that writes it: after an interruption the rows that were written are still there.
"""
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class FeatureBank:
    """Rows of one feature by image index, with their labels; -1 marks a row not yet written, -2 an image left out.

    Args:
        folder: where the files live; None keeps the bank in memory.
    """

    SKIPPED = -2

    def __init__(self, feature: str, size: int, dims: int, folder: str | Path | None = None, fresh: bool = True):
        self.feature, self.folder = feature, folder and Path(folder)
        self.rows = self._open('rows', (size, dims), np.float32, 0, fresh)
        self.labels = self._open('labels', (size,), np.int64, -1, fresh)

    def _open(self, what: str, shape: tuple, dtype, fill, fresh: bool) -> np.ndarray:
        if self.folder is None:
            return np.full(shape, fill, dtype)
        path = self.folder / f'bank_{self.feature}_{what}.npy'
        if not fresh and path.is_file():
            old = np.lib.format.open_memmap(path, mode='r+')
            if old.shape == shape and old.dtype == dtype:
                return old
        path.parent.mkdir(parents=True, exist_ok=True)
        new = np.lib.format.open_memmap(path, mode='w+', dtype=dtype, shape=shape)
        if fill:
            new[:] = fill
        return new

    def write(self, index: Tensor, rows: Tensor, labels: Tensor) -> None:
        index = index.cpu().numpy()
        self.rows[index] = rows.float().cpu().numpy()
        self.labels[index] = labels.cpu().numpy()          # last: a row counts as written only with its label

    @property
    def complete(self) -> bool:
        return bool((self.labels != -1).all())

    def blocks(self, size: int, device) -> Iterator[tuple[Tensor, Tensor]]:
        """(rows, labels) in order, `size` at a time; images left out are not among them."""
        for start in range(0, len(self.labels), size):
            part = slice(start, start + size)
            there = np.asarray(self.labels[part]) >= 0
            yield (torch.from_numpy(np.asarray(self.rows[part])[there]).to(device),
                   torch.from_numpy(np.asarray(self.labels[part])[there]).to(device))

    def delete(self) -> None:
        self.rows = self.labels = None
        if self.folder is not None:
            for path in self.folder.glob(f'bank_{self.feature}_*.npy'):
                path.unlink(missing_ok=True)
