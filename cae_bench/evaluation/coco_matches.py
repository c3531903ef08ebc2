"""Reads from a COCO evaluator what each detection met."""

from typing import Any

import numpy as np

from ..statistics.matches import IOUS, Matches

IMAGES_AT_ONCE = 500  # the evaluator hands its matches out as one dict per image and class


def collect(evaluator: Any, images: list[int], categories: list[int]) -> Matches:
    """Reads the matches of an evaluator that is set up but for images and sizes; a part of the images at a time."""
    rows = {image: i for i, image in enumerate(images)}
    columns = {category: i for i, category in enumerate(categories)}
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
            if len(entry['dtScores']):
                parts.append(_flat(entry, row, column))
    if not parts:
        nothing = np.zeros(0, np.int64)
        no_hits = np.zeros((0, len(IOUS)), bool)
        return Matches(nothing, nothing, nothing.astype(float), no_hits, no_hits, truth)
    image, label, score, hit, ignored = (np.concatenate(column) for column in zip(*parts))
    order = np.argsort(image, kind='stable')  # the evaluator's order among equal scores is that of the images
    return Matches(image[order], label[order], score[order], hit[order] & ~ignored[order], ignored[order], truth)


def _flat(entry: dict, row: int, column: int) -> tuple[np.ndarray, ...]:
    """Image, class, score (D,), hit and ignored (D, IoU thresholds) of one image and class."""
    count = len(entry['dtScores'])
    scores, ignored = np.array(entry['dtScores']), np.array(entry['dtIgnore'], bool)
    return np.full(count, row), np.full(count, column), scores, _matched(entry).T, ignored.T


def _matched(entry: dict) -> np.ndarray:
    """(IoU thresholds, D). hotcoco says it in so many words, also where an object's id is 0."""
    return np.array(entry['dtMatched'], bool) if 'dtMatched' in entry else np.array(entry['dtMatches']) > 0
