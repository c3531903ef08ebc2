"""The paired test of detection: all runs' AP on the same draws of images, from the matches kept for each image."""

import numpy as np

from .average_precision import average_precision
from .per_image import Detections

KINDS = ('bbox', 'segm')
COUNTS = 1.5e9  # detections x thresholds x draws; 2,000 draws of a small set, 300 of COCO's 5,000 images


def draws(runs: list[dict], resamples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Metric -> (runs, draws) AP in percent on draws of images with replacement, the same images for all runs.

    Metrics: `<kind>_mAP`, `_mAP_50`, `_mAP_75` of the kinds all have. For sizes of objects no matches are kept. Runs
    judged by different objects have no common draw: nothing.

    Args:
        runs: per-image columns of the same images in the same order, as `evaluation.coco.CocoAP` keeps them.
    """
    detections = [run for columns in runs if (run := Detections.unpack(columns)) is not None]
    if len(detections) < len(runs):
        return {}
    found = {}
    for kind in KINDS:
        kept = [run.matches[kind] for run in detections if kind in run.matches]
        if len(kept) < len(runs) or not all(np.array_equal(run.truth, kept[0].truth) for run in kept):
            continue
        images = len(kept[0].truth)
        fitting = int(COUNTS / (1 + sum(run.hit.size for run in kept)))
        weights = np.random.default_rng(seed).multinomial(
            images, np.full(images, 1 / images), min(resamples, max(100, fitting))
        )
        parts = np.array_split(weights, 20)
        drawn = np.stack([np.concatenate([average_precision(run, part) for part in parts]) for run in kept])
        for name, values in (('mAP', drawn), ('mAP_50', drawn[..., :1]), ('mAP_75', drawn[..., 5:6])):
            found[f'{kind}_{name}'] = np.nanmean(values, axis=(2, 3))  # a class no draw shows is left out of all
    return found
