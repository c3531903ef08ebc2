"""Few-shot classification in closed form: ridge regression on k images of each class (big_vision, fewshot_lsr.py).

Features are standardised with the mean and deviation of the chosen images, a constant 100 stands for the bias so that
it is hardly regularised, targets are -1 and 1. One eigendecomposition serves every strength of the penalty.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import DataError
from ...registry import MODELS
from .linear import LookUpProbe, generator

BIAS = 100.0


def ridge(x: Tensor, targets: Tensor, penalties: list[float]) -> Tensor:
    """argmin |x w - t|^2 + penalty |w|^2 for each penalty: x (n, D), targets (n, C) -> (G, D, C)."""
    if len(x) >= x.shape[1]:
        eigenvalues, q = torch.linalg.eigh(x.T @ x)
        left, right = q, q.T @ (x.T @ targets)
    else:  # fewer images than dimensions: the smaller of the two matrices
        eigenvalues, q = torch.linalg.eigh(x @ x.T)
        left, right = x.T @ q, q.T @ targets
    return torch.stack([(left / (eigenvalues + penalty)) @ right for penalty in penalties])


@MODELS.register_module()
class RidgeProbe(LookUpProbe):
    """One cell for each `l2`.

    Args:
        shots: images of each class; the first of a fixed random order, so that fewer shots are a part of more.
    """

    def __init__(
        self,
        in_dims: int,
        num_classes: int,
        cells: list[dict],
        shots: int,
        name: str = 'fewshot',
        feature: str = 'cls',
        **unused,
    ):
        super().__init__(num_classes, feature, cells)
        self.name, self.shots = name, shots

    def check(self, labels: list[int], classes: tuple[str, ...]) -> None:
        """Raises DataError for a class with fewer training images than shots."""
        counts = np.bincount(labels, minlength=self.num_classes)
        poor = [f'{classes[i]} ({counts[i]})' for i in np.flatnonzero(counts < self.shots)]
        if poor:
            raise DataError(
                f'{self.name} takes {self.shots} training images of each class; fewer are there of '
                f'{", ".join(poor[:3])}{" and others" if len(poor) > 3 else ""}.'
            )

    def prepare(self) -> None:
        labels = torch.from_numpy(np.array(self.full_bank.labels))
        order = torch.randperm(len(labels), generator=generator('fewshot'))
        own = [order[labels[order] == c][: self.shots] for c in range(self.num_classes)]
        if any(len(images) < self.shots for images in own):
            raise DataError(
                f'{self.name}: without the images that cannot be decoded, class number '
                f'{next(c for c, images in enumerate(own) if len(images) < self.shots)} (from 0) has fewer '
                f'than {self.shots}. Repair them, or ask for fewer shots.'
            )
        index = torch.cat(own)
        x = torch.from_numpy(np.array(self.full_bank.rows[index.numpy()])).double()
        self.mean, self.std = x.mean(0), x.std(0, unbiased=False) + 1e-5
        targets = 2 * F.one_hot(labels[index], self.num_classes).double() - 1
        self.weights = ridge(self._inputs(x), targets, [cell['l2'] for cell in self.cells])

    def _inputs(self, x: Tensor) -> Tensor:
        return F.pad((x - self.mean) / self.std, (0, 1), value=BIAS)

    def predict(self, x: Tensor) -> Tensor:
        scores = torch.einsum('bd,gdc->bgc', self._inputs(x.cpu().double()), self.weights)
        return scores.float().to(x.device)
