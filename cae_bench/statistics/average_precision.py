"""COCO's average precision from kept matches, for any draw of images. NumPy alone: records are compared without torch."""

import numpy as np

from .matches import IOUS, Matches

RECALLS = np.linspace(0, 1, 101)


def average_precision(matches: Matches, weights: np.ndarray | None = None) -> np.ndarray:
    """AP in percent, (draws, classes, 10 IoU thresholds); NaN for a class without objects.

    The COCO definition: precision made monotone, read at 101 recalls. An image drawn n times counts n times.

    Args:
        weights: (draws, images), how often each image is drawn; by default each once.
    """
    weights = np.ones((1, len(matches.truth))) if weights is None else weights.astype(np.float64)
    result = np.full((len(weights), matches.truth.shape[1], len(IOUS)), np.nan)
    for label in range(matches.truth.shape[1]):
        mine = np.flatnonzero(matches.label == label)
        mine = mine[np.argsort(-matches.score[mine], kind='stable')]
        drawn = weights[:, matches.image[mine]]
        counted = drawn.cumsum(1)
        objects = weights @ matches.truth[:, label]
        for t in range(len(IOUS)):
            hits = np.flatnonzero(matches.hit[mine, t])
            ignored = matches.ignored[mine, t]
            found = counted[:, hits] - (drawn * ignored).cumsum(1)[:, hits] if ignored.any() else counted[:, hits]
            result[:, label, t] = 100 * _area(drawn[:, hits].cumsum(1), found, objects)
    return result


def _area(true: np.ndarray, found: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Mean interpolated precision; NaN without objects. Recall rises at hits only, so they are all that is looked at.

    Args:
        true, found: (draws, hits) true and all detections down to each hit.
        objects: (draws,).
    """
    with np.errstate(invalid='ignore', divide='ignore'):
        recall = true / objects[:, None]
    precision = true / (found + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALLS, recall, side='right')  # how many of the 101 recalls, down to each hit
    means = (precision * np.diff(reached, axis=1, prepend=0)).sum(1) / len(RECALLS)
    return np.where(objects > 0, means, np.nan)
