"""k-NN on frozen features: cosine similarity, votes of exp(similarity / T) (DINO, arXiv 2104.14294, eval_knn.py)."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...registry import MODELS
from .linear import LookUpProbe


def nearest(queries: Tensor, blocks: Iterable[tuple[Tensor, Tensor]], k: int) -> tuple[Tensor, Tensor]:
    """The k most similar rows of a bank read block by block.

    Args:
        queries: (B, D), any length; compared by cosine.
        blocks: (rows (n, D), labels (n,)) pairs. Memory is that of one block, whatever the size of the bank.

    Returns:
        similarities (B, k), descending, and the labels (B, k) of these rows.
    """
    queries = F.normalize(queries.float(), dim=1)
    best = queries.new_empty(len(queries), 0)
    labels = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
    for rows, row_labels in blocks:
        similarity = queries @ F.normalize(rows.float(), dim=1).T
        similarity, found = similarity.topk(min(k, len(rows)), dim=1)
        best = torch.cat([best, similarity], 1)
        labels = torch.cat([labels, row_labels[found]], 1)
        best, order = best.topk(min(k, best.shape[1]), dim=1)
        labels = labels.gather(1, order)
    return best, labels


def vote(similarity: Tensor, labels: Tensor, num_classes: int, k: int, temperature: float) -> Tensor:
    """Class scores (B, C): the first k neighbours vote with exp(similarity / temperature), relative to the nearest."""
    similarity, labels = similarity[:, :k], labels[:, :k]
    weight = ((similarity - similarity[:, :1]) / temperature).exp()  # the common factor moves no rank, nor overflows
    return similarity.new_zeros(len(labels), num_classes).scatter_add_(1, labels, weight)


@MODELS.register_module()
class KNNProbe(LookUpProbe):
    """One cell for each (k, temperature). Its bank holds the evaluation view of every training image.

    Args:
        block: rows of the bank compared at a time.
    """

    def __init__(
        self,
        in_dims: int,
        num_classes: int,
        cells: list[dict],
        name: str = 'knn',
        feature: str = 'cls',
        block: int = 65536,
        **unused,
    ):
        super().__init__(num_classes, feature, cells)
        self.block = block

    def predict(self, x: Tensor) -> Tensor:
        k = max(cell['k'] for cell in self.cells)
        similarity, labels = nearest(x, self.full_bank.blocks(self.block, x.device), k)
        votes = [vote(similarity, labels, self.num_classes, cell['k'], cell['temperature']) for cell in self.cells]
        return torch.stack(votes, 1)
