"""A look at a few masks before a run: mistakes of labels that would cost hours, or move the score unseen."""

from pathlib import Path

from ..errors import DataError
from . import files
from .describe import DataInfo
from .mask_labels import IGNORED, labels_of, read_mask, refuse_unknown

LOOKS = 32  # masks of each split, evenly spread


def look_at_masks(info: DataInfo) -> list[str]:
    """What deserves to be said about the masks of an ADE layout.

    Raises:
        DataError: a label outside the classes, a mask that cannot be read, or no labelled pixel in all masks seen.
    """
    said = []
    for split in ('train', 'val'):
        folder = Path(info.root, info.extra[f'{split}_ann'])
        names = sorted(files.sizes(folder, ('.png',)))
        found = set()
        for name in names[:: -(-len(names) // LOOKS)]:
            found |= _labels(folder / name, info)
        said += _judge(split, found, info)
    return said


def _labels(path: Path, info: DataInfo) -> set[int]:
    labels = labels_of(read_mask(path))
    refuse_unknown(path, labels, len(info.classes), info.extra['reduce_zero_label'])
    return labels - {IGNORED}


def _judge(split: str, found: set[int], info: DataInfo) -> list[str]:
    number, reduced = len(info.classes), info.extra['reduce_zero_label']
    if not found - ({0} if reduced else set()):
        raise DataError(
            f'{info.root}: no labelled pixel in the {split} masks looked at, all is ignored. Check '
            'annotations and reduce_zero_label; cae-bench data check reads every mask'
        )
    if reduced and found == set(range(number)):
        return [
            f'{info.name}: label 0 occurs in the {split} masks and label {number} ({info.classes[-1]}) does not: '
            f'if 0 is {info.classes[0]}, reduce_zero_label in meta.json should be false'
        ]
    return []
