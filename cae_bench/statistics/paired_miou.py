"""The paired test of segmentation: all runs' mIoU on the same draws of images, from pixel counts of each image."""

from collections.abc import Sequence

import numpy as np


def draws(intersection: Sequence[np.ndarray], union: Sequence[np.ndarray], resamples: int, seed: int = 0) -> np.ndarray:
    """(runs, draws) mIoU in percent on draws of images with replacement, the same images for all runs.

    Args:
        intersection, union: of each run, (images, classes) pixels.
    """
    images = len(union[0])
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), resamples)
    weights = weights.astype(np.float64)
    return np.stack([_miou(weights @ hits, weights @ pixels) for hits, pixels in zip(intersection, union)])


def _miou(intersection: np.ndarray, union: np.ndarray) -> np.ndarray:
    """(draws,) of counts (draws, classes); a class nobody drew is left out."""
    with np.errstate(invalid='ignore'):
        return 100 * np.nanmean(intersection / union, axis=1)
