"""What each detection met, as flat arrays: enough to compute AP again for any draw of images."""
from dataclasses import dataclass
from typing import Any

import numpy as np

IOUS = np.linspace(.5, .95, 10)
RECALLS = np.linspace(0, 1, 101)
IMAGES_AT_ONCE = 500          # the evaluator hands its matches out as one dict per image and class


@dataclass(frozen=True)
class Matches:
    """D detections of all sizes, at most 100 per image and class, the best first within each.

    Attributes:
        image, label: (D,) positions in the lists of images and of classes.
        score: (D,).
        hit, ignored: (D, 10) per IoU threshold; ignored ones met a crowd region and count neither way.
        truth: (images, classes) objects that count.
    """
    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    truth: np.ndarray


def collect(evaluator: Any, images: list[int], categories: list[int]) -> Matches:
    """Reads the matches of an evaluator that is set up but for images and sizes; a part of the images at a time."""
    rows, columns = {x: i for i, x in enumerate(images)}, {x: i for i, x in enumerate(categories)}
    truth = np.zeros((len(images), len(categories)), np.int32)
    parts = []
    evaluator.params.areaRng = [[0, 1e10]]
    evaluator.params.areaRngLbl = ['all']
    for start in range(0, len(images), IMAGES_AT_ONCE):
        evaluator.params.imgIds = images[start:start + IMAGES_AT_ONCE]
        evaluator.evaluate()
        for entry in filter(None, evaluator.evalImgs):
            row, column = rows[entry['image_id']], columns[entry['category_id']]
            truth[row, column] = len(entry['gtIgnore']) - sum(entry['gtIgnore'])
            if count := len(entry['dtScores']):
                parts.append((np.full(count, row), np.full(count, column), np.array(entry['dtScores']),
                              _matched(entry).T, np.array(entry['dtIgnore'], bool).T))
    if not parts:
        none = np.zeros(0, np.int64)
        return Matches(none, none, none.astype(float), *np.zeros((2, 0, 10), bool), truth)
    image, label, score, hit, ignored = (np.concatenate(column) for column in zip(*parts))
    order = np.argsort(image, kind='stable')       # the evaluator's order among equal scores is that of the images
    return Matches(image[order], label[order], score[order], hit[order] & ~ignored[order], ignored[order], truth)


def _matched(entry: dict) -> np.ndarray:
    """(IoU thresholds, D). hotcoco says it in so many words, also where an object's id is 0."""
    return np.array(entry['dtMatched'], bool) if 'dtMatched' in entry else np.array(entry['dtMatches']) > 0


def average_precision(matches: Matches, weights: np.ndarray | None = None) -> np.ndarray:
    """AP in percent, (draws, classes, 10 IoU thresholds); NaN for a class without objects.

    The COCO definition: precision made monotone, read at 101 recalls. An image drawn n times counts n times.

    Args:
        weights: (draws, images), how often each image is drawn; by default each once.
    """
    weights = np.ones((1, len(matches.truth)), np.float32) if weights is None else weights
    result = np.full((len(weights), matches.truth.shape[1], len(IOUS)), np.nan)
    for label in range(matches.truth.shape[1]):
        mine = np.flatnonzero(matches.label == label)
        mine = mine[np.argsort(-matches.score[mine], kind='stable')]
        drawn = weights[:, matches.image[mine]].astype(np.float64)
        objects = weights.astype(np.float64) @ matches.truth[:, label]
        for t in range(len(IOUS)):
            true = (drawn * matches.hit[mine, t]).cumsum(1)
            false = (drawn * ~(matches.hit | matches.ignored)[mine, t]).cumsum(1)
            result[:, label, t] = 100 * _area(true, false, objects)
    return result


def _area(true: np.ndarray, false: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Mean interpolated precision of (draws, D) running counts; `objects` (draws,)."""
    with np.errstate(invalid='ignore', divide='ignore'):
        recall = true / objects[:, None]
        precision = true / (true + false + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    precision = np.pad(precision, ((0, 0), (0, 1)))                            # a recall never reached counts zero
    means = np.array([p[np.searchsorted(r, RECALLS)].mean() for p, r in zip(precision, recall)])
    return np.where(objects > 0, means, np.nan)
