"""Reads a COCO annotation file and refuses one that would fail, or be scored wrongly, hours later."""

import json
from pathlib import Path

from ..errors import DataError
from .coco_objects import image_fault, is_id

IMAGE_KEYS = {'id', 'file_name', 'height', 'width'}
OBJECT_KEYS = {'id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd', 'segmentation'}


def read_coco(path: Path) -> tuple[dict, bytes]:
    """Returns the content, checked, and the bytes it was read from.

    Raises:
        DataError: no JSON, sections or keys missing, ids that are no numbers or used twice, sizes that are none, an
            annotation of an unknown image or category.
    """
    raw = path.read_bytes()
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path} is no JSON ({error}): download or export it again.') from None
    sections = ('images', 'annotations', 'categories')
    missing = [s for s in sections if not isinstance(content, dict) or not isinstance(content.get(s), list)]
    if missing:
        raise DataError(
            f'{path} has no list {missing[0]!r}: it is no COCO instances file (which has {", ".join(sections)}).'
        )
    if not content['categories']:
        raise DataError(f'{path} has no categories: list the classes in it.')
    _need(path, 'category', content['categories'], {'id', 'name'})
    _need(path, 'image', content['images'], IMAGE_KEYS)
    _need(path, 'annotation', content['annotations'], OBJECT_KEYS)
    for number, image in enumerate(content['images']):
        if wrong := image_fault(image):
            raise DataError(f'{path}: image number {number}: {wrong}. Correct the file, or export it again.')
    _plain(path, content['categories'], content['annotations'])
    for what, items, key in (
        ('category id', 'categories', 'id'),
        ('category', 'categories', 'name'),
        ('image id', 'images', 'id'),
        ('image', 'images', 'file_name'),
        ('annotation id', 'annotations', 'id'),
    ):
        _unique(path, what, [item[key] for item in content[items]])
    _refer(path, content['annotations'], 'image', {item['id'] for item in content['images']})
    _refer(path, content['annotations'], 'category', {item['id'] for item in content['categories']})
    return content, raw


def _need(path: Path, what: str, items: list, keys: set[str]) -> None:
    for number, item in enumerate(items):
        if not isinstance(item, dict) or not keys <= item.keys():
            absent = sorted(keys - item.keys()) if isinstance(item, dict) else sorted(keys)
            label = item.get('id', f'number {number}') if isinstance(item, dict) else f'number {number}'
            raise DataError(
                f'{path}: {what} {label} has no {absent[0]!r}: every {what} needs {", ".join(sorted(keys))}.'
            )


def _plain(path: Path, categories: list[dict], annotations: list[dict]) -> None:
    """Ids are numbers: text and lists would fail when they are looked up, in the middle of a run."""
    for category in categories:
        if not is_id(category['id']) or not isinstance(category['name'], str):
            raise DataError(
                f'{path}: category {category["name"]!r} with the id {category["id"]!r}: the name is text, the '
                'id a whole number from 0.'
            )
    for thing in annotations:
        for key in ('id', 'image_id', 'category_id'):
            if not is_id(thing[key]):
                raise DataError(
                    f'{path}: annotation {thing["id"]!r} has the {key} {thing[key]!r}: give a whole number from 0.'
                )


def _unique(path: Path, what: str, values: list) -> None:
    if len(set(values)) != len(values):
        seen = set()
        twice = next(v for v in values if v in seen or seen.add(v))
        raise DataError(f'{path}: {what} {twice} occurs more than once: give each its own.')


def _refer(path: Path, objects: list[dict], what: str, known: set) -> None:
    dangling = [o for o in objects if o[f'{what}_id'] not in known]
    if dangling:
        first = dangling[0]
        raise DataError(
            f'{path}: annotation {first["id"]} names {what} {first[f"{what}_id"]}, which is not listed '
            f'({len(dangling)} such): add the {what} or delete the annotations.'
        )
