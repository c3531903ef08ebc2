"""What `check` looks for in masks and COCO objects."""
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image


def mask_of(folder: Path, image: str) -> Path:
    """The mask of an image, named as the image is."""
    return folder / f'{image.rpartition(".")[0]}.png'


def mask_labels(path: Path) -> tuple[tuple[int, int], set[int]] | str:
    """((width, height), labels that occur), or what is wrong with the file. Palette masks count by index."""
    try:
        with Image.open(path) as mask:
            values = np.asarray(mask)
    except (OSError, SyntaxError, ValueError) as error:
        return f'{path} is no readable mask ({error}): replace it.'
    if values.ndim != 2:
        return f'{path} has {values.shape[-1]} channels: a mask has one, holding the labels.'
    return values.shape[::-1], set(np.unique(values).tolist())


def coco_objects(content: dict, file: str) -> tuple[list[str], list[str]]:
    """(problems, warnings) of the objects of one annotation file."""
    sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
    problems, warnings = [], []
    for thing in content['annotations']:
        width, height = sizes[thing['image_id']]
        x, y, w, h = thing['bbox'] if len(thing['bbox']) == 4 else (0, 0, 0, 0)
        here = f'{file}: annotation {thing["id"]}'
        if w <= 0 or h <= 0 or thing['area'] <= 0:
            warnings.append(f'{here} has no area: it is left out of training.')
        elif min(x + w, width) <= max(x, 0) or min(y + h, height) <= max(y, 0):
            warnings.append(f'{here}: box {thing["bbox"]} lies outside of its {width}x{height} image: it is left out of '
                            'training.')
        elif x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1:       # COCO rounds by up to a pixel
            warnings.append(f'{here}: box {thing["bbox"]} reaches beyond its {width}x{height} image.')
        problems += [f'{here}: {wrong}' for wrong in _segmentation(thing['segmentation'], width, height)]
    absent = _absent(content)
    if absent:
        warnings.append(f'{file}: no object of {", ".join(absent[:10])}{" ..." * (len(absent) > 10)}.')
    return problems, warnings


def object_counts(content: dict, split: str) -> str:
    """'591 train objects, 3 images without any'."""
    bare = len(content['images']) - len({thing['image_id'] for thing in content['annotations']})
    return f'{len(content["annotations"]):,} {split} objects, {bare:,} images without any'


def _segmentation(segmentation, width: int, height: int) -> list[str]:
    if isinstance(segmentation, dict):
        if list(segmentation.get('size', ())) != [height, width]:
            return [f'its mask is for {segmentation.get("size")} (height, width), the image is {[height, width]}.']
    elif not isinstance(segmentation, list) or not segmentation:
        return ['no segmentation: give polygons or a run-length mask.']
    elif any(len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation):
        return ['a polygon needs at least three points, x and y each.']
    return []


def _absent(content: dict) -> list[str]:
    used = Counter(thing['category_id'] for thing in content['annotations'])
    return [category['name'] for category in content['categories'] if not used[category['id']]]
