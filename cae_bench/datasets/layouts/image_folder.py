"""Image folder: `train/<class>/*` and `val/<class>/*`, for classification. ImageNet-1k is one."""

from collections.abc import Iterable
from pathlib import Path

from ...errors import DataError
from .. import files
from ..checker import Checker
from ..content_hash import content_hash
from ..data_info import DataInfo
from ..wording import counted
from . import Layout, Places, Release, count_images

PLACES = Places('train', 'val')
EXTRA = dict(train_dir=PLACES.train_img, val_dir=PLACES.val_img)


class ImageFolderLayout(Layout):
    name = 'image_folder'
    summary = 'image folder: train/<class>/*, val/<class>/*'
    labels = 'images'
    places = PLACES
    released = {
        # ILSVRC 2012, classification and localisation; val sorted into its class folders, whose names are the classes.
        'in1k': Release(PLACES, 1_281_167, 50_000, tuple(f'class {i}' for i in range(1000)), EXTRA)
    }

    def matches(self, root: Path, places: Places) -> bool:
        return super().matches(root, places) and bool(files.folders(root / places.train_img))

    def describe(self, dataset: str, root: Path, strict: bool = True) -> DataInfo:
        splits = PLACES.train_img, PLACES.val_img
        listings = {split: files.sizes(root / split) for split in splits}
        classes = {split: _class_folders(root / split, listings[split]) for split in splits}
        for here, there in (splits, splits[::-1]):
            if only := set(classes[here]) - set(classes[there]):
                raise DataError(
                    f'{root}: {counted(only, "class")} in {here} but not in {there}: '
                    'add the folder there, or delete it here.'
                )
        known = content_hash(root, listings)
        return DataInfo(
            dataset,
            str(root),
            self.name,
            tuple(classes[PLACES.train_img]),
            len(listings[PLACES.train_img]),
            len(listings[PLACES.val_img]),
            known.value,
            EXTRA,
            known.covers,
        )

    def check(self, info: DataInfo, checker: Checker) -> str:
        folders = info.path('train_dir'), info.path('val_dir')
        for _ in checker.image_sizes([folder / name for folder in folders for name in files.names(folder)]):
            pass  # what cannot be read is a problem already; images of any size will do
        return count_images(info)


def _class_folders(folder: Path, images: Iterable[str]) -> list[str]:
    """The class folders of one split, none of them empty and no image outside them."""
    classes = files.folders(folder)
    loose = [path for path in images if '/' not in path]
    if not classes:
        raise DataError(
            f'{folder} holds {f"{len(loose)} loose images" if loose else "nothing"} and no class folders: '
            f'sort its images into {folder.name}/<class>/.'
        )
    filled = {path.partition('/')[0] for path in images}
    empty = [name for name in classes if name not in filled]
    if empty:
        raise DataError(
            f'{folder}: no images in {counted(empty, "class")}: add some, or delete the class from both splits.'
        )
    if loose:
        raise DataError(f'{folder}: {counted(loose, "image")} outside the class folders: move or delete.')
    return classes


LAYOUT = ImageFolderLayout()
