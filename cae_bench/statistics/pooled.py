"""A difference between two models over images and seeds: is it more than the luck of either?

Images are the same for all runs, seeds are each model's own. With the score of every run and how the scores vary
together when images are drawn anew (covariance C, of the bootstrap or, for a mean over images, exact), the variance of
the gap is

    V = u'Cu + max(0, excess),   u = (1/n_A, ..., -1/n_B, ...)

The first term is that of the images for the averaged models. A seed's share is the variance s^2 of a model's scores
over its seeds, s_A^2/n_A + s_B^2/n_B, less what C already holds of it: runs that differ image by image without being
better or worse differ by chance on any images. Degrees of freedom are Welch's and Satterthwaite's. Drawing three
seeds with replacement instead calls more than 10 % of differences by luck alone significant where seeds matter most:
three are too few to stand for all others. Here it is 3 to 7 % of them for one to five seeds a side
(tests/results/test_pooled.py).
"""

import math

import numpy as np
from scipy.special import stdtr, stdtrit

from .paired import Gap, Z


def covariance_of_correct(correct: np.ndarray) -> np.ndarray:
    """(runs, runs) of top-1 in percent when images are drawn anew.

    Args:
        correct: (runs, images) bool.
    """
    return np.cov(100.0 * correct) / correct.shape[1]


def covariance_of_draws(scores: np.ndarray) -> np.ndarray:
    """(runs, runs) of scores on the same draws of images.

    Args:
        scores: (runs, draws); a draw that has no score (NaN) for one run counts for none.
    """
    return np.cov(scores[:, ~np.isnan(scores).any(0)])


def covariance_of_intervals(intervals: np.ndarray, of_a: int) -> np.ndarray:
    """(runs, runs) from 95 % intervals alone: runs of one model as if equal on every image, A and B as if on others.

    Args:
        intervals: (runs, 2), low and high; the first `of_a` are A's.
    """
    errors = (intervals[:, 1] - intervals[:, 0]) / 2 / Z
    is_a = np.arange(len(intervals)) < of_a
    return np.outer(errors, errors) * (is_a[:, None] == is_a)


def pooled_gap(a: np.ndarray, b: np.ndarray, covariance: np.ndarray, images: int) -> Gap:
    """mean(a) - mean(b), over images and seeds.

    Args:
        a, b: (n_A,), (n_B,) the score of every run. Where one model has one run, its seeds are taken to vary as the
            other's; where both have one, luck of seeds is not in the interval.
        covariance: (n_A + n_B, n_A + n_B) of these scores when images are drawn anew, in their unit squared.
        images: how many there are.
    """
    n = len(a)
    weights = np.concatenate([np.full(n, 1 / n), np.full(len(b), -1 / len(b))])
    gap, of_images = float(a.mean() - b.mean()), float(weights @ covariance @ weights)
    parts = _seed_parts(a, b, covariance[:n, :n], covariance[n:, n:])
    excess = max(0.0, sum(part - known for part, known, _ in parts))
    variance = of_images + excess
    if variance <= 0:  # every image agrees: as the sign test has it
        return Gap((gap, gap), min(1.0, 2 / 2 ** min(images, 1000)) if gap else 1.0)
    free = variance**2 / (
        of_images**2 / max(1, images - 1) + (sum(part**2 / df for part, _, df in parts) if excess else 0)
    )
    error = math.sqrt(variance)
    half = float(stdtrit(free, 0.975)) * error
    return Gap((gap - half, gap + half), float(2 * stdtr(free, -abs(gap) / error)))


def _seed_parts(a: np.ndarray, b: np.ndarray, of_a: np.ndarray, of_b: np.ndarray) -> list[tuple[float, float, int]]:
    """Of each model with several runs: (variance its seeds give the gap, what of it images give too, its freedom)."""
    found = [(runs, c) for runs, c in ((a, of_a), (b, of_b)) if len(runs) > 1]
    parts = []
    for runs, c in found:
        n = len(runs)
        share = 1 / n if len(found) == 2 else 1 / len(a) + 1 / len(b)  # alone it stands for the other's seeds too
        known = (np.trace(c) - c.sum() / n) / (n - 1)
        parts.append((share * float(runs.var(ddof=1)), share * float(known), n - 1))
    return parts
