"""COCO layout: images, and a JSON file of objects with boxes and masks for each split, for instance segmentation."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from .. import files
from ..checker import Checker
from ..coco_file import CocoFile, read_coco
from ..coco_objects import find_fault, reaches_beyond, why_left_out
from ..content_hash import content_hash
from ..data_info import DataInfo
from ..wording import by, counted, first_ten
from . import Layout, Places, Release, class_names, count_images

# In the order of their category ids (1-90, ten of which are unused).
COCO_CLASSES = class_names("""
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
    surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
    broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors,
    teddy bear, hair drier, toothbrush
""")
NAMED = 5  # annotations named in one warning


def _extra(places: Places) -> dict[str, str | bool]:
    return dict(train_img=places.train_img, val_img=places.val_img, train_ann=places.train_ann, val_ann=places.val_ann)


COCO_2017 = Places('train2017', 'val2017', 'annotations/instances_train2017.json', 'annotations/instances_val2017.json')


class CocoLayout(Layout):
    name = 'coco'
    summary = 'COCO layout: images/{train,val}, annotations/instances_{train,val}.json'
    labels = 'objects'
    places = Places('images/train', 'images/val', 'annotations/instances_train.json', 'annotations/instances_val.json')
    released = {'coco': Release(COCO_2017, 118_287, 5_000, COCO_CLASSES, _extra(COCO_2017), with_objects=117_266)}

    def describe(self, dataset: str, root: Path, strict: bool = True) -> DataInfo:
        places = self.places_of(dataset)
        train, val = (_read_split(root, img, ann, strict, img == places.train_img) for img, ann in places.splits())
        if train.categories != val.categories:
            raise DataError(
                f'{root}: {places.train_ann} and {places.val_ann} list different categories, or in another '
                'order: give both the same list.'
            )
        if reason := train.useless or val.useless:
            raise DataError(reason)
        known = content_hash(
            root,
            {places.train_img: train.images, places.val_img: val.images},
            {places.train_ann: train.raw, places.val_ann: val.raw},
        )
        return DataInfo(
            dataset,
            str(root),
            self.name,
            tuple(name for _, name in train.categories),
            len(train.images),
            len(val.images),
            known.value,
            _extra(places),
            known.covers,
            train.with_objects,
        )

    def check(self, info: DataInfo, checker: Checker) -> str:
        if info.name == 'coco' and info.classes != COCO_CLASSES:
            checker.problems.append(
                'the categories are not those of COCO 2017: download annotations_trainval2017.zip again.'
            )
        held = [count_images(info)]
        for split in ('train', 'val'):
            file, folder = str(info.extra[f'{split}_ann']), info.path(f'{split}_img')
            coco = read_coco(info.path(f'{split}_ann'))
            _check_sizes(coco, file, folder, checker)
            _check_objects(coco, file, split == 'train', checker)
            held.append(_count_objects(coco, split))
        return '; '.join(held)


@dataclass(frozen=True)
class _Split:
    images: dict[str, int]  # file -> bytes, in sorted order
    categories: list[tuple[int, str]]  # (id, name), in the file's order
    with_objects: int  # images
    useless: str | None  # why no object is of use
    raw: bytes  # of the annotation file


def _read_split(root: Path, img: str, ann: str, strict: bool, trains: bool) -> _Split:
    """One split, whose annotation file and images fit each other."""
    coco = read_coco(root / ann)
    there = files.sizes(root / img)
    wanted = [image['file_name'] for image in coco.images]
    if not wanted:
        raise DataError(f'{root / ann} lists no images: export it again with the images of the split.')
    absent = [file for file in wanted if file not in there]
    if absent:
        raise DataError(
            f'{root / img}: {counted(absent, "image")} of {ann} missing: copy them there, or correct '
            'file_name (relative to that folder).'
        )
    if strict:
        coco.refuse_faults(root / ann)
    return _Split(
        {file: there[file] for file in sorted(wanted)},
        [(category['id'], category['name']) for category in coco.categories],
        coco.count_with_objects(),
        coco.why_useless(root / ann, trains) if strict else None,
        coco.raw,
    )


def _check_sizes(coco: CocoFile, file: str, folder: Path, checker: Checker) -> None:
    """Decodes every image and compares it with the size that the annotation file says."""
    sizes = checker.image_sizes([folder / image['file_name'] for image in coco.images])
    for image, size in zip(coco.images, sizes):
        if size and size != (image['width'], image['height']):
            checker.problems.append(
                f'{folder / image["file_name"]} is {by(size)} pixels, '
                f'{file} says {image["width"]}x{image["height"]}: correct the file.'
            )


def _check_objects(coco: CocoFile, file: str, trains: bool, checker: Checker) -> None:
    """Names every object at fault, and counts those that are left out or reach beyond their image."""
    problems = [f'{file}: annotation {number} {wrong}' for number, wrong in coco.find_faults()]
    if not problems and (reason := coco.why_useless(file, trains)):
        problems.append(reason)
    checker.problems += problems
    left_out, beyond = defaultdict(list), []
    for annotation in coco.annotations:
        size = coco.size_around(annotation)
        if find_fault(annotation, *size):
            continue
        if reason := why_left_out(annotation, *size):
            left_out[reason].append(annotation['id'])
        elif reaches_beyond(annotation, *size):
            beyond.append(annotation['id'])
    for reason, ids in left_out.items():
        checker.warnings.append(f'{file}: {_name_objects(ids)} {reason}: left out of training.')
    if beyond:
        checker.warnings.append(f'{file}: {_name_objects(beyond)} with a box that reaches beyond the image.')
    used = Counter(annotation['category_id'] for annotation in coco.annotations)
    if absent := [category['name'] for category in coco.categories if not used[category['id']]]:
        checker.warnings.append(f'{file}: no object of {first_ten(absent)}.')


def _name_objects(ids: list[int]) -> str:
    """'2 objects (annotations 4, 7)'."""
    some = ', '.join(map(str, ids[:NAMED])) + (' ...' if len(ids) > NAMED else '')
    plural = 's' * (len(ids) > 1)
    return f'{len(ids):,} object{plural} (annotation{plural} {some})'


def _count_objects(coco: CocoFile, split: str) -> str:
    """'591 train objects, 3 images without any'."""
    bare = len(coco.images) - coco.count_with_objects()
    return f'{len(coco.annotations):,} {split} objects, {bare:,} images without any'


LAYOUT = CocoLayout()
