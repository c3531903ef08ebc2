"""Pooled features of a training split, computed once and kept from run to run.

A cache belongs to everything that its numbers come from: the backbone's weights, the view, the normalisation, the
precision, the feature and the images. Another value of any of these is another cache.
"""

import fcntl
import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import Tensor, nn

from ..logs import say
from ..paths import replacing
from .feature_bank import FeatureBank

FORMAT = 1


def default_folder() -> Path:
    """$CAE_BENCH_CACHE, else ~/.cache/cae_bench/features."""
    return Path(os.environ.get('CAE_BENCH_CACHE') or Path.home() / '.cache/cae_bench/features')


class FeatureCache(FeatureBank):
    """A bank in a folder of its own, sealed with a checksum when it is full.

    Opening finds it `sealed` only where the seal is there and the bytes are those that were sealed; a damaged cache
    is built anew, and so is one that a killed run left half-written, unless that very run goes on (`resumed`).
    A run that finds another one at work on its cache waits for it, and then has nothing to compute.

    Args:
        root: folder of all caches.
        key: JSON-able; what the features come from.
        leads: off in all but the first of a run's processes: those share what the first one has opened.
    """

    WHAT, ELSEWHERE = 'feature cache', 'name another folder with CAE_BENCH_CACHE'

    def __init__(
        self, feature: str, size: int, dims: int, root: str | Path, key: dict, resumed: bool = False, leads: bool = True
    ):
        text = json.dumps(dict(key, feature=feature, size=size, dims=dims, format=FORMAT), sort_keys=True)
        folder = Path(root) / hashlib.sha256(text.encode()).hexdigest()[:20]
        self.seal_file = folder / 'seal.json'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'key.json').write_text(text)
        self.lock = _locked(folder / 'lock') if leads else None
        sealed = self._read_seal()
        super().__init__(feature, size, dims, folder, fresh=not (sealed or resumed))
        self.sealed = bool(sealed) and self.complete and sealed == self._checksums()
        if sealed and not self.sealed:
            say(f'{folder} is not what was sealed: the features are computed again')
            self.seal_file.unlink()
            super().__init__(feature, size, dims, folder, fresh=True)
        if self.sealed:
            self._unlock()

    def _unlock(self) -> None:
        if self.lock:
            self.lock.close()
            self.lock = None

    def read(self, index: Tensor, device) -> Tensor:
        """Rows (B, D) of these images."""
        return torch.from_numpy(np.array(self.rows[index.cpu().numpy()])).to(device)

    def holds(self, index: Tensor) -> Tensor:
        """Whether there are features of these images; there are none of those that cannot be decoded."""
        return torch.from_numpy(np.asarray(self.labels[index.cpu().numpy()]) != self.SKIPPED)

    def left_out(self) -> list[int]:
        """Images that could not be decoded when the cache was made."""
        return np.flatnonzero(np.asarray(self.labels) == self.SKIPPED).tolist()

    def seal(self) -> None:
        """Declares the cache whole. Only now will another run trust it."""
        if not self.sealed and self.complete:
            for part in (self.rows, self.labels):
                assert isinstance(part, np.memmap), 'a cache has a folder, so its arrays are files'
                part.flush()
            with replacing(self.seal_file, alone=True) as draft:
                draft.write_text(json.dumps(self._checksums()))
            self.sealed = True
            self._unlock()

    def _checksums(self) -> dict[str, int]:
        return {name: checksum(part) for name, part in (('rows', self.rows), ('labels', self.labels))}

    def _read_seal(self) -> dict | None:
        try:
            return json.loads(self.seal_file.read_text())
        except (OSError, ValueError):
            return None


def _locked(path: Path) -> TextIO:
    """The file, locked for this process until it is closed or the process ends; waits for another that holds it."""
    file = open(path, 'w')  # noqa: SIM115  open as long as the lock is held
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX leaves the choice between the two
        say(f'another run computes these features: waits for it ({path.parent})')
        fcntl.lockf(file, fcntl.LOCK_EX)
    return file


def checksum(array: np.ndarray, rows: int = 1 << 16) -> int:
    """CRC-32 of an array's bytes, read a part at a time."""
    value = 0
    for start in range(0, len(array), rows):
        value = zlib.crc32(np.ascontiguousarray(array[start : start + rows]).data, value)
    return value


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names and bytes of all tensors: the same for random weights of one seed and for a file."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(
            tensor.detach().cpu().contiguous().view(torch.uint8).numpy() if tensor.ndim else str(tensor.item()).encode()
        )
    return total.hexdigest()
