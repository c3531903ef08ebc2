"""Pictures of objects: an image, its labelled objects and its detections, with boxes, masks, classes and scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from . import drawing


@dataclass(frozen=True)
class DrawnObject:
    """An object of the ground truth, or a detection. box: (x1, y1, x2, y2) and mask: (H, W), in the image's pixels."""

    box: drawing.Box
    label: int | None  # None: ignored
    mask: np.ndarray | None = None
    score: float | None = None  # of a detection

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


def draw_detection(
    photo: Image.Image,
    shape: tuple[int, int],
    truth: Sequence[DrawnObject],
    found: Sequence[DrawnObject],
    classes: Sequence[str],
    caption: str,
    nothing: str,
) -> Image.Image:
    """Objects of an image of `shape` (H, W) over its photo; `nothing` is written where there is no detection."""
    panels = [photo, _draw_objects(photo, shape, truth, classes), _draw_objects(photo, shape, found, classes)]
    if not found:
        drawing.note(panels[2], nothing)
    labels = sorted({one.label for one in (*truth, *found) if one.label is not None})
    legend: drawing.Legend = [(classes[label], drawing.colour(label)) for label in labels]
    if any(one.label is None for one in truth):
        legend.append(('ignored', None))
    return drawing.sheet(panels, legend, caption)


def _draw_objects(
    photo: Image.Image, shape: tuple[int, int], objects: Sequence[DrawnObject], classes: Sequence[str]
) -> Image.Image:
    """Large objects first, so that small ones stay on top; the best detections find a place for their text first."""
    panel = photo.copy()
    by_size = sorted(objects, key=lambda one: -one.area)
    for one in by_size:
        if one.mask is not None:
            panel = drawing.shade(panel, one.mask, None if one.label is None else drawing.colour(one.label))
    are_detections = any(one.score is not None for one in objects)  # which come best first
    scale = photo.width / shape[1], photo.height / shape[0]
    boxes, colours, texts = [], [], []
    for one in objects if are_detections else by_size:
        if one.label is not None:
            left, top, right, bottom = one.box
            boxes.append((left * scale[0], top * scale[1], right * scale[0], bottom * scale[1]))
            colours.append(drawing.colour(one.label))
            texts.append(classes[one.label] + (f' {one.score:.2f}' if one.score is not None else ''))
    drawing.outline(panel, boxes, colours, texts)
    return panel
