"""The paired test of detection: all runs' AP on the same draws of images, from the matches kept for each image."""

from collections.abc import Sequence

import numpy as np

from .average_precision import average_precision
from .matches import Matches
from .per_image import Detections

KINDS = ('bbox', 'segm')
COUNTS = 1.5e9  # detections x thresholds x draws; 2,000 draws of a small set, 300 of COCO's 5,000 images
PARTS = 20  # in so many parts: cumulative sums of all draws at once take too much memory


def draws(runs: Sequence[Detections], resamples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Metric -> (runs, draws) AP in percent on draws of images with replacement, the same images for all runs.

    Metrics: `<kind>_mAP`, `_mAP_50`, `_mAP_75` of the kinds all have. For sizes of objects no matches are kept. Runs
    judged by different objects have no common draw: nothing.

    Args:
        runs: of the same images in the same order.
    """
    scores = {}
    for kind in KINDS:
        kept = [run.matches[kind] for run in runs if kind in run.matches]
        if len(kept) < len(runs) or not all(np.array_equal(matches.truth, kept[0].truth) for matches in kept):
            continue
        drawn = _drawn(kept, resamples, seed)
        for name, values in (('mAP', drawn), ('mAP_50', drawn[..., :1]), ('mAP_75', drawn[..., 5:6])):
            scores[f'{kind}_{name}'] = np.nanmean(values, axis=(2, 3))  # a class no draw shows is left out of all
    return scores


def _drawn(runs: Sequence[Matches], resamples: int, seed: int) -> np.ndarray:
    """(runs, draws, classes, 10) AP."""
    images = len(runs[0].truth)
    fitting = int(COUNTS / (1 + sum(run.hit.size for run in runs)))
    count = min(resamples, max(100, fitting))
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), count)
    parts = np.array_split(weights, PARTS)
    scores = []
    for run in runs:
        scores.append(np.concatenate([average_precision(run, part) for part in parts]))
    return np.stack(scores)
