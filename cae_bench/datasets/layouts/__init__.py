"""Data layouts, one a file: where the parts lie, what they hold, how they are checked, which official data have it.

A file of this folder defines a subclass of `Layout` and an instance of it as `LAYOUT`; nothing else names it. The
instance is found by its `name`, which is the `layout` in the header of the configs that read such data.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ...errors import DataError
from ...paths import import_all
from ..checker import Checker
from ..data_info import NOT_GIVEN, DataInfo


@dataclass(frozen=True)
class Places:
    """Folders of the two splits' images, and of their masks or annotation files, relative to the root."""

    train_img: str
    val_img: str
    train_ann: str = ''  # none where the folders' names are the labels
    val_ann: str = ''

    @property
    def parts(self) -> list[str]:
        return [part for part in (self.train_img, self.val_img, self.train_ann, self.val_ann) if part]

    def missing(self, root: Path) -> list[str]:
        return [part for part in self.parts if not (root / part).exists()]

    def splits(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """(images, annotations) of train and of val."""
        return (self.train_img, self.train_ann), (self.val_img, self.val_ann)


@dataclass(frozen=True)
class Release:
    """An official data set as it was released: what is known of it without its folder."""

    places: Places
    num_train: int
    num_val: int
    classes: tuple[str, ...]
    extra: Mapping[str, str | bool] = field(default_factory=dict)  # of its DataInfo
    with_objects: int | None = None  # training images that any object lies in; detection trains on no other


class Layout(ABC):
    """One way in which data lie in a folder.

    Attributes:
        name: as in the header of a config.
        summary: its folders in a line, for `cae-bench ls tasks`.
        labels: what they belong to: whole images (classification), pixels (segmentation) or objects (detection).
        places: where the parts of a user's own data lie.
        released: the official data sets in this layout, by name; their parts may lie elsewhere.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    labels: ClassVar[Literal['images', 'pixels', 'objects']]
    places: ClassVar[Places]
    released: ClassVar[Mapping[str, Release]] = {}

    @abstractmethod
    def describe(self, dataset: str, root: Path, strict: bool = True) -> DataInfo:
        """Classes, sizes, places and hash of a folder that has all parts, without decoding a single image.

        Args:
            strict: raise for anything in annotation files that would end or falsify a run; without it the caller's
                check names each of them.

        Raises:
            DataError: the parts do not fit each other.
        """

    @abstractmethod
    def check(self, info: DataInfo, checker: Checker) -> str:
        """Reads every file, adds to the checker's problems and warnings, and returns in words what there is."""

    def sample(self, info: DataInfo) -> list[str]:
        """Reads a few files before a run; returns what looks wrong and yet may be meant.

        Raises:
            DataError: what would end or falsify a run.
        """
        return []

    def matches(self, root: Path, places: Places) -> bool:
        """Whether a folder has these parts."""
        return not places.missing(root)

    def lookalike(self, root: Path) -> str | None:
        """What a folder is that people take for this layout by mistake, and the remedy."""
        return None

    def places_of(self, dataset: str) -> Places:
        return self.released[dataset].places if dataset in self.released else self.places

    def describe_released(self, dataset: str) -> DataInfo:
        """An official data set without its folder, with the counts of its release: can be planned with, not run."""
        known = self.released[dataset]
        return DataInfo(
            dataset,
            NOT_GIVEN,
            self.name,
            known.classes,
            known.num_train,
            known.num_val,
            NOT_GIVEN,
            known.extra,
            with_objects=known.with_objects,
        )


def all_layouts() -> dict[str, Layout]:
    """Every layout of this folder by name, the one of fewest parts first."""
    found = [module.LAYOUT for module in import_all(__name__, list(__path__))]
    return {layout.name: layout for layout in sorted(found, key=lambda one: (len(one.places.parts), one.name))}


def find_layout(name: str) -> Layout:
    layouts = all_layouts()
    if name not in layouts:
        raise DataError(f'{name!r} is no layout: choose {", ".join(layouts)}.')
    return layouts[name]


def official_names() -> list[str]:
    """'in1k', 'ade20k', ...: data sets whose folders, classes and counts are known."""
    return [name for layout in all_layouts().values() for name in layout.released]


def official_layout(dataset: str) -> Layout | None:
    """The layout that an official data set was released in; None for any other name."""
    return next((layout for layout in all_layouts().values() if dataset in layout.released), None)


def training_folders() -> list[str]:
    """Where training images lie in any layout, those of users' own data first."""
    layouts = all_layouts().values()
    places = [layout.places for layout in layouts]
    places += [release.places for layout in layouts for release in layout.released.values()]
    return list(dict.fromkeys(place.train_img for place in places))


def class_names(text: str) -> tuple[str, ...]:
    """The names of a list with commas, which may run over several lines."""
    return tuple(name.strip() for name in ' '.join(text.split()).split(','))


def count_images(info: DataInfo) -> str:
    """'20 train images, 10 val images, 3 classes'."""
    return f'{info.num_train:,} train images, {info.num_val:,} val images, {len(info.classes):,} classes'
