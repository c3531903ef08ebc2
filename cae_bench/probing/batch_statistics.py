"""Scores of a batch norm that stays in training mode during evaluation, as CAE's attentive numbers were published.

The official evaluation deals the validation images to 32 ranks without shuffling: rank r has images r, r + 32, ... of the
list, which is repeated from its start until all ranks have equally many (torch's DistributedSampler). Each rank
normalises its batches of 384 by their own statistics. Which images form a batch follows from the list alone, so any
number of processes, with batches of any size, can make the same batches from pooled features.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchScores:
    """Of N images under G heads.

    Attributes:
        predicted: classes (N, G); hits: whether the label is among the best five, (N, G).
        with_repeats: top-1 in percent of each head, (G,), where repeated images count twice, as the official loop counts.
        batches: how many batches there were; repeats: how many images of them were repetitions.
        alone: images that were the only one of their batch: they have no statistics of their own.
    """

    predicted: np.ndarray
    hits: np.ndarray
    with_repeats: np.ndarray
    batches: int
    repeats: int
    alone: int


@dataclass(frozen=True)
class BatchAccount:
    """How one head was scored by batch statistics; for the record."""

    ranks: int  # that the images were dealt to
    batch_size: int  # of each
    batches: int  # how many there were
    repeats: int  # images that were in one twice
    alone: int  # images that were the only one of their batch
    top1_with_repeats: float  # in percent, as the official loop counts


class ScoredInGroups(Protocol):
    """A probe whose reported score is made of whole groups of images."""

    eval_batch_stats: dict[str, int] | None  # `ranks` and `batch_size`; None: by running statistics like any other

    def by_batch_statistics(self, pooled: list[np.ndarray | None], labels: np.ndarray) -> BatchScores: ...


def rank_batches(images: int, ranks: int, batch_size: int) -> list[np.ndarray]:
    """Positions in the padded list, batch by batch; position p is image p % images."""
    padded = -(-images // ranks) * ranks
    return [
        np.arange(rank, padded, ranks)[start : start + batch_size]
        for rank in range(ranks)
        for start in range(0, padded // ranks, batch_size)
    ]


def score(probe, pooled: list[np.ndarray | None], labels: np.ndarray, ranks: int, batch_size: int) -> BatchScores:
    """Scores pooled features (G, D) of images in the order of the list; None stands for an image that was left out.

    An image alone in its batch has no variance. The official loop ends with an error there; here it is normalised by the
    running statistics.

    Args:
        probe: has `classify(pooled (B, G, D), train, track) -> (B, G, C)`.
        labels: (N,) of all images; what stands for an image that was left out does not matter.
    """
    images, cells = len(pooled), next(len(p) for p in pooled if p is not None)
    padded = -(-images // ranks) * ranks
    predicted, hits = np.zeros((padded, cells), np.int32), np.zeros((padded, cells), bool)
    alone = 0
    batches = list(_present(rank_batches(images, ranks, batch_size), pooled))
    for positions in batches:
        own = positions % images
        alone += len(own) == 1
        predicted[positions], hits[positions] = _judge(probe, np.stack([pooled[i] for i in own]), labels[own])
    there = np.concatenate(batches)
    correct = predicted[there] == labels[there % images, None]
    return BatchScores(
        predicted[:images], hits[:images], 100 * correct.mean(0), len(batches), int((there >= images).sum()), alone
    )


def _present(batches: list[np.ndarray], pooled: list[np.ndarray | None]) -> Iterator[np.ndarray]:
    """Batches less the images that were left out: those keep their place, their batch has one image less."""
    there = np.array([p is not None for p in pooled])
    for positions in batches:
        kept = positions[there[positions % len(pooled)]]
        if len(kept):
            yield kept


@torch.no_grad()
def _judge(probe, pooled: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(predicted, label among the best five), (B, G) each, of one batch."""
    device = next(probe.parameters()).device
    scores: Tensor = probe.classify(torch.from_numpy(pooled).to(device), train=len(pooled) > 1, track=False)
    return judge(scores.float().cpu(), torch.from_numpy(labels))


def judge(scores: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """scores (B, G, C) -> predicted class (B, G) as int32 and whether the label is among the best five, (B, G)."""
    top = scores.topk(min(5, scores.shape[-1]), dim=-1).indices
    hit = (top == labels.cpu().view(-1, 1, 1)).any(-1)
    return top[..., 0].int().numpy(), hit.numpy()
