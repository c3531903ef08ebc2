"""The one rule of segmentation masks: for the check, for the sample before a run, for the loader and for pictures."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import DataError
from .pixels import open_image

IGNORED = 255  # the label of pixels that count nowhere
EIGHT_BITS = ('1', 'L', 'P')  # modes whose labels a loader's uint8 can hold


def mask_of(folder: Path, image: str) -> Path:
    """The mask of an image, named as the image is."""
    return folder / f'{image.rpartition(".")[0]}.png'


def read_mask(path: str | Path) -> np.ndarray:
    """(H, W) labels as the file has them; palette masks count by index.

    Raises:
        DataError: names a mask that cannot be read, is too large or has several channels.
    """
    try:
        with open_image(path) as mask:
            values = np.asarray(mask)
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f'{path} is no readable mask ({error}): replace it, or remove it with its image.') from None
    if values.ndim != 2:
        raise DataError(f'{path} has {values.shape[-1]} channels: a mask has one, holding the labels.')
    if values.dtype.kind == 'f':
        raise DataError(f'{path} holds floating-point numbers: a mask holds labels, 0 to 255.')
    return values


def labels_of(mask: np.ndarray) -> set[int]:
    """The labels that occur, ignored ones too."""
    return set(np.unique(mask).astype(int).tolist())


def unknown_labels(mask: np.ndarray, num_classes: int, ignored: int = IGNORED) -> np.ndarray:
    """Labels (K,) that are neither a class nor ignored, in a mask (H, W) as it is trained on: classes from 0."""
    return mask[(mask >= num_classes) & (mask != ignored)]


def refuse_unknown(
    path: str | Path, labels: Iterable[int], num_classes: int, reduce_zero_label: bool, ignored: int = IGNORED
) -> None:
    """Raises DataError for labels, as the file has them, that are neither a class nor ignored."""
    last = num_classes - (not reduce_zero_label)
    beyond = sorted(label for label in labels if label != ignored and not 0 <= label <= last)
    if not beyond:
        return
    some = ', '.join(map(str, beyond[:5])) + (' and more' if len(beyond) > 5 else '')
    shift = ''
    if beyond == [last + 1] and not reduce_zero_label:
        shift = ' If label 0 means unlabelled, reduce_zero_label should be true.'
    reduced = str(reduce_zero_label).lower()
    raise DataError(
        f'{path} holds label {some}: with {num_classes} classes and reduce_zero_label {reduced}, labels are '
        f'0-{last} and {ignored} (ignored). Correct the mask, or meta.json.{shift}'
    )
