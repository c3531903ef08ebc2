"""Image classification data in folders, `<split>/<class>/*`: each image is decoded once, for one view or for many."""

import os
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from ..errors import DataError
from ..registry import DATASETS, TRANSFORMS
from . import files
from .pixels import read_image
from .wording import counted

Transform = Callable[..., object]


@DATASETS.register_module()
class ImageFolder(torch.utils.data.Dataset):
    """Images of `data_root/split_dir/<class>/*`.

    An item is `dict(inputs=..., label=int, index=int, image='class/file')`; `inputs` is what the transform returns
    for the RGB `PIL.Image`, or `{view: result}` for named views. `paths[index]` is where it comes from.

    Args:
        data_root: the data set's folder.
        split_dir: 'train' or 'val'.
        classes: the class names, in the order of the labels; None reads them from the folder. Give the training
            split's to both splits, so that their labels agree.
        transform: None | callable | config (`dict(type='cae_bench.X', ...)`, built from TRANSFORMS; a registered
            function is a factory: it is called with the rest of the dict) | list of these, applied in turn
            | `{view name: any of these}`, decode once and give every view.
        limit: keep this many images, spread evenly over the classes, always the same ones; None keeps all.

    Raises:
        DataError: no such folder, folders and `classes` differ, a class without images; on reading, a corrupt image.
    """

    def __init__(
        self,
        data_root: str,
        split_dir: str = 'train',
        classes: Sequence[str] | None = None,
        transform=None,
        limit: int | None = None,
    ):
        self.root = Path(data_root, split_dir)
        self.classes = tuple(self._class_folders() if classes is None else classes)
        self.paths, self.labels = self._list()
        if limit is not None:
            keep = stratified(self.paths, self.labels, limit)
            self.paths, self.labels = [self.paths[i] for i in keep], [self.labels[i] for i in keep]
        self.transform = build_transform(transform)

    @property
    def metainfo(self) -> dict:
        """What mmengine hands to the evaluator as `dataset_meta`."""
        return dict(classes=self.classes)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict:
        image = read_image(self.paths[index])
        if isinstance(self.transform, dict):
            inputs = {view: transform(image) for view, transform in self.transform.items()}
        else:
            inputs = self.transform(image)
        return dict(inputs=inputs, label=self.labels[index], index=index, image=_short_name(self.paths[index]))

    def _class_folders(self) -> list[str]:
        if not self.root.is_dir():
            raise DataError(f'{self.root} does not exist: an image folder holds train/<class>/* and val/<class>/*.')
        return files.folders(self.root)

    def _list(self) -> tuple[list[str], list[int]]:
        found, wanted = set(self._class_folders()), set(self.classes)
        if found != wanted:
            kind, names = ('unknown', found - wanted) if found - wanted else ('missing', wanted - found)
            raise DataError(
                f'{self.root}: {kind} {counted(names, "class folder")}; '
                f'train and val need the same {len(wanted)} classes.'
            )
        paths, labels = [], []
        for label, name in enumerate(self.classes):
            inside = files.names(self.root / name)
            if not inside:
                raise DataError(
                    f'{self.root / name} holds no images ({" ".join(files.IMAGES)}): '
                    'add some, or delete the class from train and val.'
                )
            paths += [os.path.join(self.root, name, file) for file in inside]
            labels += [label] * len(inside)
        return paths, labels


def build_transform(transform) -> Transform | dict[str, Transform]:
    """Config, callable, list of these, or named views -> one callable, or a dict of them by view."""
    if isinstance(transform, Mapping) and 'type' not in transform:
        return {view: _build_one(one) for view, one in transform.items()}
    return _build_one(transform)


def _build_one(transform) -> Transform:
    if isinstance(transform, Mapping):
        return TRANSFORMS.build(dict(transform))
    if isinstance(transform, (list, tuple)):
        return _Chain([_build_one(one) for one in transform])
    return transform if transform is not None else _Chain([])


class _Chain:
    """Transforms applied one after the other; a class, so that worker processes can receive it."""

    def __init__(self, steps: list[Transform]):
        self.steps = steps

    def __call__(self, image):
        for step in self.steps:
            image = step(image)
        return image


def stratified(paths: Sequence[str], labels: Sequence[int], limit: int) -> list[int]:
    """Sorted positions of `limit` items, as even over the labels as they go; the choice depends on file names alone."""
    if limit < 1:
        raise DataError(f'limit={limit}: keep at least one image.')
    shuffled = sorted(range(len(paths)), key=lambda i: zlib.crc32(_short_name(paths[i]).encode()))
    ranked, seen = [], Counter()
    for i in shuffled:
        ranked.append((seen[labels[i]], labels[i], i))  # the first of every label, then the second of every label, ...
        seen[labels[i]] += 1
    return sorted(i for _, _, i in sorted(ranked)[:limit])


def _short_name(path: str) -> str:
    """'class/file', wherever the data set lies."""
    return '/'.join(Path(path).parts[-2:])
