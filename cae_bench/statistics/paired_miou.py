"""The paired test of segmentation: all runs' mIoU on the same draws of images, from pixel counts of each image."""

from collections.abc import Sequence

import numpy as np

from .per_image import Counts


def draws(runs: Sequence[Counts], resamples: int, seed: int = 0) -> np.ndarray:
    """(runs, draws) mIoU in percent on draws of images with replacement, the same images for all runs.

    Args:
        runs: of the same images in the same order.
    """
    images = len(runs[0].images)
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), resamples)
    return np.stack([_miou(weights @ _floats(run.intersection), weights @ _floats(run.union)) for run in runs])


def _miou(intersection: np.ndarray, union: np.ndarray) -> np.ndarray:
    """(draws,) of counts (draws, classes); a class nobody drew is left out."""
    with np.errstate(invalid='ignore'):
        return 100 * np.nanmean(intersection / union, axis=1)


def _floats(counts: np.ndarray) -> np.ndarray:
    return counts.astype(np.float64)  # whose products are fast
