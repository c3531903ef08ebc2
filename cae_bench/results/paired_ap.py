"""The paired test of detection: both models' AP on the same draws of images, from the matches kept for each image."""
import numpy as np

from ..average_precision import Matches, average_precision

KINDS = ('bbox', 'segm')
COUNTS = 1.5e9                # detections x thresholds x draws; 2,000 draws of a small set, 300 of COCO's 5,000 images


def gaps(a: dict, b: dict, resamples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Metric -> AP(A) - AP(B) in percent for each draw of images with replacement, the same images for both.

    Metrics: `<kind>_mAP`, `_mAP_50`, `_mAP_75` of the kinds both have. For sizes of objects no matches are kept. Models
    judged by different objects have no common draw: nothing.

    Args:
        a, b: per-image columns of the same images in the same order, as `evaluation.coco.CocoAP` keeps them.
    """
    found = {}
    for kind in KINDS:
        if not all(f'{kind}_hit' in columns for columns in (a, b)) or a[f'{kind}_truth'] != b[f'{kind}_truth']:
            continue
        ours, theirs = matches(a, kind), matches(b, kind)
        images = len(ours.truth)
        fitting = int(COUNTS / (1 + ours.hit.size + theirs.hit.size))
        weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images),
                                                          min(resamples, max(100, fitting)))
        parts = np.array_split(weights, 20)
        drawn = np.concatenate([average_precision(ours, part) - average_precision(theirs, part) for part in parts])
        for name, values in (('mAP', drawn), ('mAP_50', drawn[..., :1]), ('mAP_75', drawn[..., 5:6])):
            found[f'{kind}_{name}'] = np.nanmean(values, axis=(1, 2))
    return found


def matches(columns: dict, kind: str) -> Matches:
    """The kept columns as flat arrays again."""
    lists = {name: columns[f'{kind}_{name}'] for name in ('score', 'label', 'hit', 'ignored')}
    image = np.repeat(np.arange(len(lists['score'])), [len(one) for one in lists['score']])
    flat = {name: np.array([x for one in values for x in one]) for name, values in lists.items()}
    hit, ignored = (flat[name].astype(int)[:, None] >> np.arange(10) & 1 for name in ('hit', 'ignored'))
    return Matches(image, flat['label'].astype(int), flat['score'].astype(float), hit.astype(bool),
                   ignored.astype(bool), np.array(columns[f'{kind}_truth']))
