"""What each detection met, as flat arrays: enough to compute AP again for any draw of images."""

from typing import Any

import numpy as np

from .average_precision import Matches

IMAGES_AT_ONCE = 500  # the evaluator hands its matches out as one dict per image and class


def collect(evaluator: Any, images: list[int], categories: list[int]) -> Matches:
    """Reads the matches of an evaluator that is set up but for images and sizes; a part of the images at a time."""
    rows, columns = {x: i for i, x in enumerate(images)}, {x: i for i, x in enumerate(categories)}
    truth = np.zeros((len(images), len(categories)), np.int32)
    parts = []
    evaluator.params.areaRng = [[0, 1e10]]
    evaluator.params.areaRngLbl = ['all']
    for start in range(0, len(images), IMAGES_AT_ONCE):
        evaluator.params.imgIds = images[start : start + IMAGES_AT_ONCE]
        evaluator.evaluate()
        for entry in filter(None, evaluator.evalImgs):
            row, column = rows[entry['image_id']], columns[entry['category_id']]
            truth[row, column] = len(entry['gtIgnore']) - sum(entry['gtIgnore'])
            if count := len(entry['dtScores']):
                parts.append(
                    (
                        np.full(count, row),
                        np.full(count, column),
                        np.array(entry['dtScores']),
                        _matched(entry).T,
                        np.array(entry['dtIgnore'], bool).T,
                    )
                )
    if not parts:
        none = np.zeros(0, np.int64)
        return Matches(none, none, none.astype(float), *np.zeros((2, 0, 10), bool), truth)
    image, label, score, hit, ignored = (np.concatenate(column) for column in zip(*parts))
    order = np.argsort(image, kind='stable')  # the evaluator's order among equal scores is that of the images
    return Matches(image[order], label[order], score[order], hit[order] & ~ignored[order], ignored[order], truth)


def _matched(entry: dict) -> np.ndarray:
    """(IoU thresholds, D). hotcoco says it in so many words, also where an object's id is 0."""
    return np.array(entry['dtMatched'], bool) if 'dtMatched' in entry else np.array(entry['dtMatches']) > 0
