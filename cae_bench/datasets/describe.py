"""What a data folder holds: classes, sizes, where things lie and a hash, without decoding a single image.

A folder that cannot serve is refused here, before anything is trained on it.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError
from . import files
from .coco_file import read_coco
from .coco_objects import refuse_faults, useless
from .content_hash import Listings, content_hash
from .layouts import Places, locate
from .official import ADE20K_CLASSES


@dataclass(frozen=True)
class DataInfo:
    """A data set, ready to be written into a config.

    content_hash: sha256 over both splits' files, names and contents, and over COCO files and meta.json.
    hash_covers: what of the files it depends on, in words; large folders are not read whole (`content_hash.py`).
    with_objects: of COCO data, training images that have an object; None for other layouts.
    extra: places relative to `root`.
        image_folder: train_dir, val_dir.
        ade: train_img, val_img, train_ann, val_ann (folders), img_suffix, seg_map_suffix, reduce_zero_label.
        coco: train_img, val_img (folders), train_ann, val_ann (JSON files).
    """

    name: str
    root: str
    layout: str
    classes: tuple[str, ...]
    num_train: int
    num_val: int
    content_hash: str
    extra: dict = field(default_factory=dict)
    hash_covers: str = ''
    with_objects: int | None = None

    @property
    def num_trained(self) -> int:
        """Training images that a run goes through: detection leaves out those without objects (filter_empty_gt)."""
        return self.num_train if self.with_objects is None else self.with_objects


def describe(name: str, root: str | Path, layout: str, refuse_objects: bool = True) -> DataInfo:
    """Describes data set `name` at `root`; `in1k`, `ade20k` and `coco` have their official folders and classes.

    Args:
        layout: 'image_folder', 'ade' or 'coco'.
        refuse_objects: raise for objects of COCO files that would end or falsify a run; the check names them all.

    Raises:
        DataError: the folder is missing, has another layout, or its parts do not fit each other.
    """
    root = Path(root).expanduser()
    places = locate(name, root, layout)
    if layout == 'coco':
        return _coco(name, root, places, refuse_objects)
    return {'image_folder': _image_folder, 'ade': _ade}[layout](name, root, places)


def _image_folder(name: str, root: Path, places: Places) -> DataInfo:
    listings = {split: files.sizes(root / split) for split in (places.train_img, places.val_img)}
    classes = {split: _class_folders(root / split, listing) for split, listing in listings.items()}
    for here, there in ((places.train_img, places.val_img), (places.val_img, places.train_img)):
        only = set(classes[here]) - set(classes[there])
        if only:
            raise DataError(
                f'{root}: {_some(only, "class")} in {here} but not in {there}: add the folder there, or delete it here.'
            )
    return DataInfo(
        name,
        str(root),
        'image_folder',
        tuple(classes[places.train_img]),
        *map(len, listings.values()),
        extra=dict(train_dir=places.train_img, val_dir=places.val_img),
        **_hash(root, listings),
    )


def _class_folders(folder: Path, listing: Iterable[str]) -> list[str]:
    """The class folders of one split, none of them empty and no image outside them."""
    classes = files.folders(folder)
    loose = [path for path in listing if '/' not in path]
    if not classes:
        raise DataError(
            f'{folder} holds {f"{len(loose)} loose images" if loose else "nothing"} and no class folders: '
            f'sort its images into {folder.name}/<class>/.'
        )
    filled = {path.partition('/')[0] for path in listing}
    empty = [c for c in classes if c not in filled]
    if empty:
        raise DataError(
            f'{folder}: no images in {_some(empty, "class")}: add some, or delete the class from both splits.'
        )
    if loose:
        raise DataError(f'{folder}: {_some(loose, "image")} outside the class folders: move or delete.')
    return classes


def _ade(name: str, root: Path, places: Places) -> DataInfo:
    if name == 'ade20k':
        meta, contents = dict(classes=ADE20K_CLASSES, reduce_zero_label=True), {}
    else:
        meta, raw = _read_meta(root / 'meta.json')
        contents = {'meta.json': raw}
    listings, suffixes = {}, set()
    for img, ann in ((places.train_img, places.train_ann), (places.val_img, places.val_ann)):
        images, masks = files.sizes(root / img), files.sizes(root / ann, ('.png',))
        if not images:
            raise DataError(f'{root / img} holds no images: put them there, directly or in subfolders.')
        _match(root / img, images, root / ann, masks)
        suffixes |= {Path(path).suffix for path in images}
        listings |= {img: images, ann: masks}
    if len(suffixes) > 1:
        raise DataError(
            f'{root}: images have several endings ({", ".join(sorted(suffixes))}): convert or rename them to one.'
        )
    extra = dict(
        train_img=places.train_img,
        val_img=places.val_img,
        train_ann=places.train_ann,
        val_ann=places.val_ann,
        img_suffix=suffixes.pop(),
        seg_map_suffix='.png',
        reduce_zero_label=meta['reduce_zero_label'],
    )
    return DataInfo(
        name,
        str(root),
        'ade',
        tuple(meta['classes']),
        len(listings[places.train_img]),
        len(listings[places.val_img]),
        extra=extra,
        **_hash(root, listings, contents),
    )


def _read_meta(path: Path) -> tuple[dict, bytes]:
    example = '{"classes": ["road", "sky"], "reduce_zero_label": false}'
    if not path.is_file():
        raise DataError(f'{path} is missing: write the class names in label order, e.g. {example}')
    raw = path.read_bytes()
    try:
        meta = json.loads(raw)
    except ValueError as error:
        raise DataError(f'{path} is no JSON ({error}): expected e.g. {example}') from None
    classes = meta.get('classes') if isinstance(meta, dict) else None
    if not isinstance(classes, list) or not classes or not all(isinstance(c, str) and c for c in classes):
        raise DataError(f'{path}: "classes" must be a list of names, e.g. {example}')
    if len(set(classes)) < len(classes):
        twice = Counter(classes).most_common(1)[0][0]
        raise DataError(f'{path}: class {twice!r} is listed twice: give each its own name.')
    if not isinstance(meta.get('reduce_zero_label'), bool):
        raise DataError(
            f'{path}: "reduce_zero_label" must be true (label 0 is unlabelled, classes from 1) or false '
            '(classes from 0).'
        )
    return meta, raw


def _match(img: Path, images: Iterable[str], ann: Path, masks: Iterable[str]) -> None:
    """Every image has its mask and every mask its image, told by name without ending."""
    stems = Counter(path.rpartition('.')[0] for path in images)
    twice = [stem for stem, count in stems.items() if count > 1]
    if twice:
        raise DataError(f'{img}: {_some(twice, "image")} with two endings share one mask: delete one of them.')
    mask_stems = {path.rpartition('.')[0] for path in masks}
    if stems.keys() - mask_stems:
        raise DataError(
            f'{ann}: no mask for {_some(stems.keys() - mask_stems, "image")}: add <name>.png, or delete the image.'
        )
    if mask_stems - stems.keys():
        raise DataError(f'{img}: no image for {_some(mask_stems - stems.keys(), "mask")}: add it, or delete the mask.')


def _coco(name: str, root: Path, places: Places, refuse_objects: bool) -> DataInfo:
    listings, contents, categories, counts, faults, annotated = {}, {}, [], [], [], []
    for img, ann in ((places.train_img, places.train_ann), (places.val_img, places.val_ann)):
        content, raw = read_coco(root / ann)
        contents[ann] = raw
        listing = files.sizes(root / img)
        wanted = [image['file_name'] for image in content['images']]
        if not wanted:
            raise DataError(f'{root / ann} lists no images: export it again with the images of the split.')
        absent = [file for file in wanted if file not in listing]
        if absent:
            raise DataError(
                f'{root / img}: {_some(absent, "image")} of {ann} missing: copy them there, or correct '
                'file_name (relative to that folder).'
            )
        listings[img] = {file: listing[file] for file in sorted(wanted)}
        if refuse_objects:
            refuse_faults(root / ann, content)
            faults.append(useless(root / ann, content, trains=img == places.train_img))
        categories.append([(c['id'], c['name']) for c in content['categories']])
        counts.append(len(wanted))
        annotated.append(len({thing['image_id'] for thing in content['annotations']}))
    if categories[0] != categories[1]:
        raise DataError(
            f'{root}: {places.train_ann} and {places.val_ann} list different categories, or in another '
            'order: give both the same list.'
        )
    if any(faults):
        raise DataError(next(filter(None, faults)))
    extra = dict(train_img=places.train_img, val_img=places.val_img, train_ann=places.train_ann, val_ann=places.val_ann)
    classes = tuple(c for _, c in categories[0])
    return DataInfo(
        name,
        str(root),
        'coco',
        classes,
        *counts,
        extra=extra,
        with_objects=annotated[0],
        **_hash(root, listings, contents),
    )


def _hash(root: Path, listings: Listings, contents: dict[str, bytes] | None = None) -> dict[str, str]:
    known = content_hash(root, listings, contents)
    return dict(content_hash=known.value, hash_covers=known.covers)


def _some(names: Iterable[str], what: str, limit: int = 3) -> str:
    """'class cat', 'classes cat, dog, eel and 4 more'."""
    names = sorted(names)
    plural = what if len(names) == 1 else what + ('es' if what.endswith('s') else 's')
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return f'{plural} {", ".join(names[:limit])}{more}'
