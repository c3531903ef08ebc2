"""ADE layout: images, a PNG mask for each of them, and meta.json with the classes, for semantic segmentation."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from .. import files
from ..checker import Checker
from ..content_hash import Listings, content_hash
from ..data_info import DataInfo
from ..mask_labels import IGNORED, labels_of, mask_of, read_mask, refuse_unknown
from ..meta_file import read_meta
from ..wording import by, counted, first_ten
from . import Layout, Places, Release, class_names, count_images

# Short names in the order of objectInfo150.txt, labels 1-150; label 0 is "other".
ADE20K_CLASSES = class_names("""
    wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, door,
    table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, field,
    armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest
    of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool
    table, pillow, screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill,
    bench, countertop, stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel, bus,
    towel, light, truck, tower, chandelier, awning, streetlight, booth, television receiver, airplane, dirt track,
    apparel, pole, land, bannister, escalator, ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer
    belt, canopy, washer, plaything, swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle,
    oven, ball, food, step, tank, trade name, microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket,
    sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, pier, crt screen, plate, monitor, bulletin board,
    shower, radiator, glass, clock, flag
""")
SAMPLED = 32  # masks of each split that are read before a run, evenly spread


def _extra(places: Places, img_suffix: str, reduce_zero_label: bool) -> dict[str, str | bool]:
    return dict(
        train_img=places.train_img,
        val_img=places.val_img,
        train_ann=places.train_ann,
        val_ann=places.val_ann,
        img_suffix=img_suffix,
        seg_map_suffix='.png',
        reduce_zero_label=reduce_zero_label,
    )


# Scene parsing benchmark, ADEChallengeData2016.zip (not the full ADE20K).
ADE20K = Places('images/training', 'images/validation', 'annotations/training', 'annotations/validation')


class AdeLayout(Layout):
    name = 'ade'
    summary = 'ADE layout: images/{train,val}, annotations/{train,val}, meta.json'
    labels = 'pixels'
    places = Places('images/train', 'images/val', 'annotations/train', 'annotations/val')
    released = {'ade20k': Release(ADE20K, 20_210, 2_000, ADE20K_CLASSES, _extra(ADE20K, '.jpg', True))}

    def describe(self, dataset: str, root: Path, strict: bool = True) -> DataInfo:
        places = self.places_of(dataset)
        if dataset in self.released:
            classes, reduce_zero_label, contents = ADE20K_CLASSES, True, {}
        else:
            meta = read_meta(root / 'meta.json')
            classes, reduce_zero_label, contents = meta.classes, meta.reduce_zero_label, {'meta.json': meta.raw}
        listings: Listings = {}
        for img, ann in places.splits():
            listings[img], listings[ann] = files.sizes(root / img), files.sizes(root / ann, ('.png',))
            if not listings[img]:
                raise DataError(f'{root / img} holds no images: put them there, directly or in subfolders.')
            _match(root / img, listings[img], root / ann, listings[ann])
        suffix = _suffix(root, [*listings[places.train_img], *listings[places.val_img]])
        known = content_hash(root, listings, contents)
        return DataInfo(
            dataset,
            str(root),
            self.name,
            classes,
            len(listings[places.train_img]),
            len(listings[places.val_img]),
            known.value,
            _extra(places, suffix, reduce_zero_label),
            known.covers,
        )

    def check(self, info: DataInfo, checker: Checker) -> str:
        for split in ('train', 'val'):
            images, masks = info.path(f'{split}_img'), info.path(f'{split}_ann')
            pairs = [(images / name, mask_of(masks, name)) for name in files.names(images)]
            found, unknown = set(), []
            for mask in _masks_that_fit(pairs, checker):
                found |= mask.labels
                try:
                    _refuse_unknown(mask.path, mask.labels, info)
                except DataError as error:
                    unknown.append(str(error))
            _judge_labels(split, found, info, checker)
            checker.problems += unknown  # after their common cause: they may be thousands
        return count_images(info)

    def sample(self, info: DataInfo) -> list[str]:
        """Mistakes of labels that would cost hours, or move the score unseen."""
        warnings = []
        for split in ('train', 'val'):
            folder = info.path(f'{split}_ann')
            names = sorted(files.sizes(folder, ('.png',)))
            found = set()
            for name in names[:: -(-len(names) // SAMPLED)]:
                labels = labels_of(read_mask(folder / name))
                _refuse_unknown(folder / name, labels, info)
                found |= labels - {IGNORED}
            warnings += _judge_sample(split, found, info)
        return warnings

    def lookalike(self, root: Path) -> str | None:
        """The full ADE20K: 2021 keeps images/ADE/training/<scene>/, 2016 images/training/<letter>/<scene>/."""
        training = root / 'images/training'
        if not (
            any(root.glob('index_ade20k*'))  # both have an index file
            or (root / 'images/ADE').is_dir()
            or (training.is_dir() and not (root / 'annotations').exists() and files.folders(training))
        ):
            return None
        return (
            'the full ADE20K; the benchmark is on ADEChallengeData2016 (150 classes, one PNG mask an image): '
            'download that'
        )


def _match(img: Path, images: Iterable[str], ann: Path, masks: Iterable[str]) -> None:
    """Refuses images without a mask and masks without an image; both have one name, without its ending."""
    stems = Counter(path.rpartition('.')[0] for path in images)
    twice = [stem for stem, count in stems.items() if count > 1]
    if twice:
        raise DataError(f'{img}: {counted(twice, "image")} with two endings share one mask: delete one of them.')
    mask_stems = {path.rpartition('.')[0] for path in masks}
    if bare := stems.keys() - mask_stems:
        raise DataError(f'{ann}: no mask for {counted(bare, "image")}: add <name>.png, or delete the image.')
    if loose := mask_stems - stems.keys():
        raise DataError(f'{img}: no image for {counted(loose, "mask")}: add it, or delete the mask.')


def _suffix(root: Path, images: Iterable[str]) -> str:
    """The ending of all images, which mmseg's loader wants to be one."""
    first, *others = sorted({Path(path).suffix for path in images})
    if others:
        raise DataError(
            f'{root}: images have several endings ({", ".join([first, *others])}): convert or rename them to one.'
        )
    return first


@dataclass(frozen=True)
class _Mask:
    path: Path
    size: tuple[int, int]  # width, height
    labels: set[int]


def _mask(path: Path) -> _Mask | DataError:
    try:
        mask = read_mask(path)
    except DataError as error:
        return error
    height, width = mask.shape
    return _Mask(path, (width, height), labels_of(mask))


def _masks_that_fit(pairs: list[tuple[Path, Path]], checker: Checker) -> Iterable[_Mask]:
    """The masks of (image, mask) pairs that can be read and are of one size; each other pair is a problem."""
    for size, mask in checker.map(lambda pair: (checker.image_size(pair[0]), _mask(pair[1])), pairs):
        if isinstance(size, DataError) or isinstance(mask, DataError):
            checker.problems += [str(result) for result in (size, mask) if isinstance(result, DataError)]
        elif size != mask.size:
            checker.problems.append(f'{mask.path} is {by(mask.size)} pixels, its image {by(size)}: make them equal.')
        if not (isinstance(size, DataError) or isinstance(mask, DataError)):
            yield mask


def _refuse_unknown(path: Path, labels: set[int], info: DataInfo) -> None:
    refuse_unknown(path, labels, len(info.classes), bool(info.extra['reduce_zero_label']))


def _judge_labels(split: str, found: set[int], info: DataInfo, checker: Checker) -> None:
    """Of the labels in all masks of a split: signs of a wrong reduce_zero_label, and classes that never occur."""
    number, reduced = len(info.classes), bool(info.extra['reduce_zero_label'])
    if not reduced and max(found - {IGNORED}, default=0) == number:
        checker.problems.append(
            f'{split}: labels run to {number}, one too many for {number} classes from 0: '
            'reduce_zero_label should probably be true.'
        )
    if reduced and 0 in found and number not in found:
        checker.warnings.append(
            f'{split}: label 0 occurs and label {number} ({info.classes[-1]}) never: if 0 is '
            f'{info.classes[0]}, reduce_zero_label should be false.'
        )
    absent = [name for label, name in enumerate(info.classes, int(reduced)) if label not in found]
    if absent:
        checker.warnings.append(f'{split}: no pixel of {first_ten(absent)}.')


def _judge_sample(split: str, found: set[int], info: DataInfo) -> list[str]:
    """Of the labels in a few masks: a warning only where every label but the last was seen."""
    number, reduced = len(info.classes), bool(info.extra['reduce_zero_label'])
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


LAYOUT = AdeLayout()
