"""The embedded data: drawn scenes as image folder, ADE layout and COCO layout at once, under one root.

train/<class>/*.jpg  val/<class>/*.jpg                      the class of the largest visible object
images/{train,val}/*.jpg  annotations/{train,val}/*.png     0 is background, a class of its own; meta.json
annotations/instances_{train,val}.json                      visible masks (RLE), tight boxes
scenes.json                                                 what it was drawn with
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from ...errors import DataError
from .drawing import NAMES, Scene, draw_scene

DRAWING = 3  # raise it when a seed begins to give other pictures
MARKER = 'scenes.json'
Progress = Callable[[int, int], None]


def make_scenes(
    root: str | Path,
    seed: int = 0,
    num_train: int = 600,
    num_val: int = 200,
    size: int = 128,
    progress: Progress | None = None,
) -> Path:
    """Draws scenes into `root` and returns it; a folder already drawn with the same numbers is left as it is.

    The same numbers and library versions give the same bytes. Nothing appears at `root` before all of it is there.

    Args:
        size: side of the square pictures in pixels.
        progress: called with (scenes drawn, scenes in all).

    Raises:
        DataError: `root` holds something else, or the numbers make no data set.
    """
    root = Path(root)
    numbers = dict(drawing=DRAWING, seed=seed, num_train=num_train, num_val=num_val, size=size)
    _check_numbers(numbers)
    if _already_there(root, numbers):
        return root
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f'.{root.name}-', dir=root.parent))
    except OSError as error:
        raise DataError(f'{root}: no folder can be made there ({error.strerror}). Name another one.') from None
    try:
        building.chmod(0o755)  # mkdtemp makes it private; a data folder is as readable as any other
        _write(building, numbers, progress)
        building.replace(root)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return root


def _check_numbers(numbers: dict) -> None:
    if min(numbers['num_train'], numbers['num_val']) < len(NAMES):
        raise DataError(
            f'Scenes need at least {len(NAMES)} pictures in each split, one of each class: '
            f'raise num_train={numbers["num_train"]} or num_val={numbers["num_val"]}.'
        )
    if numbers['size'] < 64 or numbers['seed'] < 0:
        raise DataError(f'Scenes need size >= 64 and seed >= 0, not size={numbers["size"]}, seed={numbers["seed"]}.')


def _already_there(root: Path, numbers: dict) -> bool:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / MARKER).read_text())
    except (OSError, ValueError):
        raise DataError(f'{root} exists and holds no scenes: give a folder that does not exist yet.') from None
    if found != numbers:
        differ = ', '.join(
            f'{k}={found.get(k) if isinstance(found, dict) else None} instead of {v}'
            for k, v in numbers.items()
            if not isinstance(found, dict) or found.get(k) != v
        )
        raise DataError(f'{root} holds scenes drawn with {differ}: give another folder, or delete this one.')
    return True


def _write(root: Path, numbers: dict, progress: Progress | None) -> None:
    total, done = numbers['num_train'] + numbers['num_val'], 0
    for number, split in enumerate(('train', 'val')):
        coco = _empty_coco()
        for folder in (f'images/{split}', f'annotations/{split}', *(f'{split}/{name}' for name in NAMES)):
            (root / folder).mkdir(parents=True)
        for index in range(numbers[f'num_{split}']):
            rng = np.random.default_rng([numbers['seed'], number, index])  # one stream a scene: order cannot matter
            dominant = index % len(NAMES)
            scene = draw_scene(rng, numbers['size'], dominant)
            _write_scene(root, split, f'{index + 1:05d}', NAMES[dominant], scene)
            _add_to_coco(coco, index + 1, scene)
            done += 1
            if progress:
                progress(done, total)
        (root / f'annotations/instances_{split}.json').write_text(json.dumps(coco))
    meta = dict(classes=['background', *NAMES], reduce_zero_label=False)
    (root / 'meta.json').write_text(json.dumps(meta, indent=1) + '\n')
    (root / MARKER).write_text(json.dumps(numbers) + '\n')


def _write_scene(root: Path, split: str, stem: str, name: str, scene: Scene) -> None:
    picture = root / f'images/{split}/{stem}.jpg'
    Image.fromarray(scene.image).save(picture, quality=scene.quality)
    labels = np.array([0, *(c + 1 for c in scene.classes)], np.uint8)[scene.owner + 1]
    Image.fromarray(labels).save(root / f'annotations/{split}/{stem}.png')
    try:
        os.link(picture, root / f'{split}/{name}/{stem}.jpg')
    except OSError:  # a file system without hard links
        shutil.copyfile(picture, root / f'{split}/{name}/{stem}.jpg')


def _empty_coco() -> dict:
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(NAMES)]
    return dict(info=dict(description='drawn scenes'), images=[], annotations=[], categories=categories)


def _add_to_coco(coco: dict, image_id: int, scene: Scene) -> None:
    height, width = scene.owner.shape
    coco['images'].append(dict(id=image_id, file_name=f'{image_id:05d}.jpg', height=height, width=width))
    for number, label in enumerate(scene.classes):
        mask = scene.owner == number
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        counts = rle['counts'].decode()  # pyright: ignore[reportAttributeAccessIssue]  (bytes, which the stubs call text)
        coco['annotations'].append(
            dict(
                id=len(coco['annotations']) + 1,
                image_id=image_id,
                category_id=label + 1,
                bbox=box,
                iscrowd=0,
                area=int(mask.sum()),
                segmentation=dict(size=rle['size'], counts=counts),
            )
        )
