"""The paired test of detection: all runs' AP on the same draws of images, from the matches kept for each image."""

import numpy as np

from .average_precision import Matches, average_precision

KINDS = ('bbox', 'segm')
COUNTS = 1.5e9  # detections x thresholds x draws; 2,000 draws of a small set, 300 of COCO's 5,000 images


def draws(runs: list[dict], resamples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Metric -> (runs, draws) AP in percent on draws of images with replacement, the same images for all runs.

    Metrics: `<kind>_mAP`, `_mAP_50`, `_mAP_75` of the kinds all have. For sizes of objects no matches are kept. Runs
    judged by different objects have no common draw: nothing.

    Args:
        runs: per-image columns of the same images in the same order, as `evaluation.coco.CocoAP` keeps them.
    """
    found = {}
    for kind in KINDS:
        truth = runs[0].get(f'{kind}_truth')
        if not all(f'{kind}_hit' in columns and columns[f'{kind}_truth'] == truth for columns in runs):
            continue
        kept = [matches(columns, kind) for columns in runs]
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


def matches(columns: dict, kind: str) -> Matches:
    """The kept columns as flat arrays again."""
    lists = {name: columns[f'{kind}_{name}'] for name in ('score', 'label', 'hit', 'ignored')}
    image = np.repeat(np.arange(len(lists['score'])), [len(one) for one in lists['score']])
    flat = {name: np.array([x for one in values for x in one]) for name, values in lists.items()}
    hit, ignored = (flat[name].astype(int)[:, None] >> np.arange(10) & 1 for name in ('hit', 'ignored'))
    return Matches(
        image,
        flat['label'].astype(int),
        flat['score'].astype(float),
        hit.astype(bool),
        ignored.astype(bool),
        np.array(columns[f'{kind}_truth']),
    )
