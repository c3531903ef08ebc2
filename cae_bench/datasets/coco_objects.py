"""Whether a COCO file has objects that a detector can learn from, or be scored on: told before anything is trained."""
import math
from collections import Counter
from pathlib import Path

from ..errors import DataError


def useless(path: Path, content: dict, trains: bool) -> str | None:
    """Why not a single object of a file is of use, if so; content: of `read_coco`.

    Raises:
        DataError: a box that is no box, an object without segmentation.
    """
    sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
    fates = Counter(_fate(path, thing, *sizes[thing['image_id']]) for thing in content['annotations'])
    if fates['used']:
        return None
    told = ', '.join(f'{number} {fate}' for fate, number in fates.items()) or 'it lists none'
    purpose = 'to learn from' if trains else 'to be scored on'
    return f'{path}: no object {purpose} ({told}). Check the export, or the images it belongs to.'


def _fate(path: Path, thing: dict, width: int, height: int) -> str:
    box = thing['bbox']
    if len(box) != 4 or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in box):
        raise DataError(f'{path}: annotation {thing["id"]} has the box {box}: give four numbers, x, y, width, height.')
    x, y, w, h = box
    if w < 1 or h < 1 or thing['area'] <= 0:
        return 'without area'
    if min(x + w, width) <= max(x, 0) or min(y + h, height) <= max(y, 0):
        return 'outside of their images'
    if not thing['segmentation']:
        raise DataError(f'{path}: annotation {thing["id"]} has no segmentation: give polygons or a run-length mask, which '
                        'the mask head learns from.')
    return 'crowds' if thing['iscrowd'] else 'used'
