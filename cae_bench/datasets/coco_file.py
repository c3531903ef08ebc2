"""Reads a COCO annotation file and refuses one that would fail, or be scored wrongly, hours later."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import DataError
from .coco_objects import find_fault, find_image_fault, is_id, why_left_out

SECTIONS = ('images', 'annotations', 'categories')
IMAGE_KEYS = {'id', 'file_name', 'height', 'width'}
OBJECT_KEYS = {'id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd', 'segmentation'}


@dataclass(frozen=True)
class CocoFile:
    """The entries of a file in its order: ids are unique numbers, and every annotation names a known image and category.

    raw: the bytes it was read from.
    """

    images: list[dict]
    annotations: list[dict]
    categories: list[dict]
    raw: bytes

    @cached_property
    def sizes(self) -> dict[int, tuple[int, int]]:
        """Image id -> (width, height)."""
        return {image['id']: (image['width'], image['height']) for image in self.images}

    def size_around(self, annotation: dict) -> tuple[int, int]:
        """(width, height) of the image that an object lies in."""
        return self.sizes[annotation['image_id']]

    def count_with_objects(self) -> int:
        """Images that an annotation names."""
        return len({annotation['image_id'] for annotation in self.annotations})

    def find_faults(self) -> Iterator[tuple[int, str]]:
        """(annotation id, what is wrong) of every object at fault."""
        for annotation in self.annotations:
            if wrong := find_fault(annotation, *self.size_around(annotation)):
                yield annotation['id'], wrong

    def refuse_faults(self, path: Path) -> None:
        """Raises DataError for the first object at fault, and says how many are."""
        faults = list(self.find_faults())
        if faults:
            number, wrong = faults[0]
            more = f' ({len(faults):,} such objects; cae-bench data check names them)' if len(faults) > 1 else ''
            raise DataError(f'{path}: annotation {number} {wrong}{more}')

    def why_useless(self, path: Path | str, trains: bool) -> str | None:
        """Why not a single object is of use, if so; the objects must be without fault."""
        fates = Counter()
        for annotation in self.annotations:
            crowd = 'crowds' if annotation['iscrowd'] else 'used'
            fates[why_left_out(annotation, *self.size_around(annotation)) or crowd] += 1
        if fates['used']:
            return None
        listed = ', '.join(f'{number} {fate}' for fate, number in fates.items() if number) or 'it lists none'
        purpose = 'to learn from' if trains else 'to be scored on'
        return f'{path}: no object {purpose} ({listed}). Check the export, or the images it belongs to.'


def read_coco(path: Path) -> CocoFile:
    """Reads a file and checks it.

    Raises:
        DataError: no JSON, sections or keys missing, ids that are no numbers or used twice, sizes that are none, an
            annotation of an unknown image or category.
    """
    raw = path.read_bytes()
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path} is no JSON ({error}): download or export it again.') from None
    missing = [s for s in SECTIONS if not isinstance(content, dict) or not isinstance(content.get(s), list)]
    if missing:
        raise DataError(
            f'{path} has no list {missing[0]!r}: it is no COCO instances file (which has {", ".join(SECTIONS)}).'
        )
    file = CocoFile(content['images'], content['annotations'], content['categories'], raw)
    if not file.categories:
        raise DataError(f'{path} has no categories: list the classes in it.')
    _need(path, 'category', file.categories, {'id', 'name'})
    _need(path, 'image', file.images, IMAGE_KEYS)
    _need(path, 'annotation', file.annotations, OBJECT_KEYS)
    for number, image in enumerate(file.images):
        if wrong := find_image_fault(image):
            raise DataError(f'{path}: image number {number}: {wrong}. Correct the file, or export it again.')
    _refuse_odd_ids(path, file)
    for noun, items, key in (
        ('category id', file.categories, 'id'),
        ('category', file.categories, 'name'),
        ('image id', file.images, 'id'),
        ('image', file.images, 'file_name'),
        ('annotation id', file.annotations, 'id'),
    ):
        _refuse_repeated(path, noun, [item[key] for item in items])
    _refuse_dangling(path, file.annotations, 'image', {image['id'] for image in file.images})
    _refuse_dangling(path, file.annotations, 'category', {category['id'] for category in file.categories})
    return file


def _need(path: Path, noun: str, items: list, keys: set[str]) -> None:
    """Raises DataError for an entry without one of the keys."""
    for number, item in enumerate(items):
        if not isinstance(item, dict) or not keys <= item.keys():
            absent = sorted(keys - item.keys()) if isinstance(item, dict) else sorted(keys)
            label = item.get('id', f'number {number}') if isinstance(item, dict) else f'number {number}'
            raise DataError(
                f'{path}: {noun} {label} has no {absent[0]!r}: every {noun} needs {", ".join(sorted(keys))}.'
            )


def _refuse_odd_ids(path: Path, file: CocoFile) -> None:
    """Ids are numbers: text and lists would fail when they are looked up, in the middle of a run."""
    for category in file.categories:
        if not is_id(category['id']) or not isinstance(category['name'], str):
            raise DataError(
                f'{path}: category {category["name"]!r} with the id {category["id"]!r}: the name is text, the '
                'id a whole number from 0.'
            )
    for annotation in file.annotations:
        for key in ('id', 'image_id', 'category_id'):
            if not is_id(annotation[key]):
                raise DataError(
                    f'{path}: annotation {annotation["id"]!r} has the {key} {annotation[key]!r}: '
                    'give a whole number from 0.'
                )


def _refuse_repeated(path: Path, noun: str, values: list) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise DataError(f'{path}: {noun} {value} occurs more than once: give each its own.')
        seen.add(value)


def _refuse_dangling(path: Path, annotations: list[dict], noun: str, known: set) -> None:
    """Raises DataError for annotations of an image or category that the file does not list."""
    key = f'{noun}_id'
    dangling = [annotation for annotation in annotations if annotation[key] not in known]
    if dangling:
        first = dangling[0]
        raise DataError(
            f'{path}: annotation {first["id"]} names {noun} {first[key]}, which is not listed '
            f'({len(dangling)} such): add the {noun} or delete the annotations.'
        )
