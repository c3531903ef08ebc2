"""Verifies a data folder completely, reading every file: what `cae-bench data check NAME=DIR` prints."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError
from . import files
from .check_annotations import coco_objects, object_counts
from .coco_file import read_coco
from .describe import DataInfo, describe
from .layouts import OWN, begun, hint, locate, recognise
from .mask_labels import labels_of, mask_of, read_mask, refuse_unknown
from .official import COCO_CLASSES, OFFICIAL
from .pixels import NOTES, look

Progress = Callable[[int, int], None]
SHOWN = 20


@dataclass
class Report:
    """What was found. `problems` stop a run or falsify its score; `warnings` are worth knowing."""

    name: str
    root: str
    layouts: dict[str, str] = field(default_factory=dict)  # layout -> what it holds, in words
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        lines = [f'{self.name} ({self.root})', *(f'  {layout}: {holds}' for layout, holds in self.layouts.items())]
        for title, entries in (('warning', self.warnings), ('problem', self.problems)):
            if entries:
                lines.append(f'  {len(entries)} {title}{"s" * (len(entries) > 1)}:')
                lines += ['    ' + entry.replace('\n', '\n    ') for entry in entries[:SHOWN]]
                lines += [f'    and {len(entries) - SHOWN} more'] * (len(entries) > SHOWN)
        beside = 'nothing is wrong beside what is warned of' if self.warnings else 'nothing is wrong'
        return '\n'.join(lines + [f'  Every file was read; {beside}.'] * self.ok)


def check(
    name: str, root: str | Path, layout: str | None = None, progress: Progress | None = None, workers: int | None = None
) -> Report:
    """Reads every file of data set `name` at `root`, in each layout that the folder has, or in `layout` only.

    Args:
        progress: called with (files read, files in all) of the layout at hand.
        workers: threads that decode; None: one per core.

    Raises:
        DataError: there is no such folder, or nothing of any layout in it.
    """
    root = Path(root).expanduser()
    report = Report(name, str(root))
    pool = _Pool(progress, workers)
    kinds = [layout] if layout else _layouts(name, root)
    if not layout and name not in OFFICIAL:
        report.warnings += begun(root, kinds)
    for kind in kinds:
        try:
            info = describe(name, root, kind, refuse_objects=False)  # those are named one by one below
        except DataError as error:
            report.problems.append(str(error))
            continue
        _CHECKS[kind](info, root, report, pool)
        _compare_with_official(info, report)
    # two layouts may share an image
    report.problems, report.warnings = (list(dict.fromkeys(found)) for found in (report.problems, report.warnings))
    return report


def _layouts(name: str, root: Path) -> list[str]:
    if name in OFFICIAL:
        return [OFFICIAL[name].layout]
    if not root.is_dir():
        locate(name, root, 'image_folder')  # raises, naming the nearest folder
    found = [layout for layout, owner in recognise(root) if owner == 'own']
    if found:
        return found
    there = {layout: sum((root / part).exists() for part in places.parts) for layout, places in OWN.items()}
    layout = max(there, key=there.get)
    if not there[layout]:
        kinds = '; '.join(f'{kind}: {", ".join(places.parts)}' for kind, places in OWN.items())
        raise DataError(f'{root} has no layout that is known here.\n{kinds}.{hint(root)}')
    return [layout]  # describe then says what is missing


class _Pool:
    """Runs a function over many files in threads (decoding leaves the interpreter lock) and counts them."""

    def __init__(self, progress: Progress | None, workers: int | None):
        self.progress, self.workers = progress, workers or os.cpu_count() or 1

    def map(self, function: Callable, items: Sequence) -> Iterator:
        with ThreadPoolExecutor(self.workers) as threads:
            for start in range(0, len(items), 1024):  # a million futures at once would be gigabytes
                for i, result in enumerate(threads.map(function, items[start : start + 1024])):
                    if self.progress:
                        self.progress(start + i + 1, len(items))
                    yield result


class _Images:
    """Reads images as the loaders do, and counts those that are not read as they are."""

    def __init__(self, report: Report):
        self.report = report
        self.noted: dict[str, list[str]] = {}

    def size(self, path: str) -> tuple[int, int] | str:
        """(width, height), or what is wrong with the file."""
        try:
            size, notes = look(path)
        except DataError as error:
            return str(error)
        for note in notes:
            self.noted.setdefault(note, []).append(path)
        return size

    def say(self) -> None:
        for note, (one, several, becomes) in NOTES.items():
            if paths := sorted(self.noted.get(note, ())):
                who = f'1 image {one}' if len(paths) == 1 else f'{len(paths):,} images {several}'
                self.report.warnings.append(f'{who} {becomes}. The first: {paths[0]}.')


def _image_folder(info: DataInfo, root: Path, report: Report, pool: _Pool) -> None:
    paths = [
        str(root / split / path)
        for split in (info.extra['train_dir'], info.extra['val_dir'])
        for path in files.names(root / split)
    ]
    images = _Images(report)
    report.problems += [result for result in pool.map(images.size, paths) if isinstance(result, str)]
    images.say()
    report.layouts['image_folder'] = _counts(info)


def _mask(path: Path) -> tuple[tuple[int, int], set[int]] | str:
    """((width, height), labels that occur), or what is wrong with the file."""
    try:
        mask = read_mask(path)
    except DataError as error:
        return str(error)
    return mask.shape[::-1], labels_of(mask)


def _ade(info: DataInfo, root: Path, report: Report, pool: _Pool) -> None:
    report.layouts['ade'] = _counts(info)
    reader = _Images(report)
    for split in ('train', 'val'):
        images, masks = (root / info.extra[f'{split}_{part}'] for part in ('img', 'ann'))
        pairs = [(images / name, mask_of(masks, name)) for name in files.names(images)]
        read = pool.map(lambda pair: (reader.size(str(pair[0])), _mask(pair[1])), pairs)
        found, beyond = set(), []
        for (_, mask), (size, labels) in zip(pairs, read):
            unreadable = [result for result in (size, labels) if isinstance(result, str)]
            report.problems += unreadable
            if unreadable:
                continue
            if size != labels[0]:
                report.problems.append(f'{mask} is {_by(labels[0])} pixels, its image {_by(size)}: make them equal.')
            beyond += _outside(mask, labels[1], info)
            found |= labels[1]
        _judge_labels(split, found, info, report)
        report.problems += beyond  # after their common cause: they may be thousands
    reader.say()


def _outside(mask: Path, labels: set[int], info: DataInfo) -> list[str]:
    try:
        refuse_unknown(mask, labels, len(info.classes), info.extra['reduce_zero_label'])
    except DataError as error:
        return [str(error)]
    return []


def _judge_labels(split: str, found: set[int], info: DataInfo, report: Report) -> None:
    """The tell-tales of a wrong reduce_zero_label, and classes that never occur."""
    number, reduced = len(info.classes), info.extra['reduce_zero_label']
    if not reduced and found - {255} and max(found - {255}) == number:
        report.problems.append(
            f'{split}: labels run to {number}, one too many for {number} classes from 0: '
            'reduce_zero_label should probably be true.'
        )
    if reduced and 0 in found and number not in found:
        report.warnings.append(
            f'{split}: label 0 occurs and label {number} ({info.classes[-1]}) never: if 0 is '
            f'{info.classes[0]}, reduce_zero_label should be false.'
        )
    absent = [c for i, c in enumerate(info.classes) if i + reduced not in found]
    if absent:
        report.warnings.append(f'{split}: no pixel of {", ".join(absent[:10])}{" ..." * (len(absent) > 10)}.')


def _coco(info: DataInfo, root: Path, report: Report, pool: _Pool) -> None:
    if info.name == 'coco' and info.classes != COCO_CLASSES:
        report.problems.append(
            'the categories are not those of COCO 2017: download annotations_trainval2017.zip again.'
        )
    words, images = [], _Images(report)
    for split in ('train', 'val'):
        content, _ = read_coco(root / info.extra[f'{split}_ann'])
        folder = root / info.extra[f'{split}_img']
        for image, size in zip(
            content['images'], pool.map(images.size, [str(folder / image['file_name']) for image in content['images']])
        ):
            if isinstance(size, str):
                report.problems.append(size)
            elif size != (image['width'], image['height']):
                report.problems.append(
                    f'{folder / image["file_name"]} is {_by(size)} pixels, '
                    f'{info.extra[f"{split}_ann"]} says {image["width"]}x{image["height"]}: '
                    'correct the file.'
                )
        problems, warnings = coco_objects(content, info.extra[f'{split}_ann'], trains=split == 'train')
        report.problems += problems
        report.warnings += warnings
        words.append(object_counts(content, split))
    images.say()
    report.layouts['coco'] = f'{_counts(info)}; {"; ".join(words)}'


def _compare_with_official(info: DataInfo, report: Report) -> None:
    official = OFFICIAL.get(info.name)
    if not official:
        return
    for what, found, expected in (
        ('train images', info.num_train, official.num_train),
        ('val images', info.num_val, official.num_val),
        ('classes', len(info.classes), official.num_classes),
    ):
        if found != expected:
            report.warnings.append(
                f'{found:,} {what}; the official {info.name} has {expected:,}: scores are not '
                'comparable with published ones.'
            )


def _counts(info: DataInfo) -> str:
    return f'{info.num_train:,} train images, {info.num_val:,} val images, {len(info.classes):,} classes'


def _by(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'


_CHECKS = {'image_folder': _image_folder, 'ade': _ade, 'coco': _coco}
