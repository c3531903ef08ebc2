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
        self.feature, self.folder = feature, folder and Path(folder)
        layout = {'rows': ((size, dims), np.float32), 'labels': ((size,), np.int64)}
        self.rows, self.labels = self._of_before(layout, fresh) or self._new(layout)

    def _of_before(self, layout: dict, fresh: bool) -> list[np.ndarray] | None:
        """Both files of an earlier run: rows without their own labels, or labels without rows, are worth nothing."""
        if fresh or self.folder is None:
            return None
        old = [mapped_file.reopen(self._path(what), *kind) for what, kind in layout.items()]
        return None if any(part is None for part in old) else old

    def _new(self, layout: dict) -> list[np.ndarray]:
        if self.folder is None:
            new = [np.zeros(*kind) for kind in layout.values()]
        else:
            new = [
                mapped_file.create(self._path(what), *kind, f'the {self.WHAT} {self.feature!r}', self.ELSEWHERE)
                for what, kind in layout.items()
            ]
        new[1][:] = -1
        return new

    def _path(self, what: str) -> Path:
        return self.folder / f'bank_{self.feature}_{what}.npy'

    def write(self, index: Tensor, rows: Tensor, labels: Tensor) -> None:
        index = index.cpu().numpy()
        self.rows[index] = rows.float().cpu().numpy()
        self.labels[index] = labels.cpu().numpy()  # last: a row counts as written only with its label

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
        self.rows = self.labels = None
        if self.folder is not None:
            for path in self.folder.glob(f'bank_{self.feature}_*.npy'):
                path.unlink(missing_ok=True)
