"""Confidence intervals by drawing images with replacement: what another validation set of this size might give."""

import numpy as np


def draws(num_images: int, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """How often each image is drawn: (resamples, num_images) float32 counts, every row sums to num_images."""
    counts = np.random.default_rng(seed).multinomial(num_images, np.full(num_images, 1 / num_images), size=resamples)
    return counts.astype(np.float32)


def interval(scores: np.ndarray) -> tuple[float, float]:
    """The central 95 % of the scores of all draws, in the scores' unit; draws without a score (NaN) are left out."""
    low, high = np.nanpercentile(scores, [2.5, 97.5])
    return float(low), float(high)
