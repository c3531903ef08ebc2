"""Where a data set's parts lie: the three layouts, the official folders, and what a wrong folder looks like."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..errors import DataError
from . import files
from .official import OFFICIAL


@dataclass(frozen=True)
class Places:
    """Folders of the two splits' images, and of their masks or COCO files, relative to the root."""

    train_img: str
    val_img: str
    train_ann: str | None = None
    val_ann: str | None = None

    @property
    def parts(self) -> list[str]:
        return [p for p in (self.train_img, self.val_img, self.train_ann, self.val_ann) if p]


OWN = {
    'image_folder': Places('train', 'val'),
    'ade': Places('images/train', 'images/val', 'annotations/train', 'annotations/val'),
    'coco': Places('images/train', 'images/val', 'annotations/instances_train.json', 'annotations/instances_val.json'),
}
FULL_ADE20K = (
    'the full ADE20K; the benchmark is on ADEChallengeData2016 (150 classes, one PNG mask an image): download that'
)


def locate(name: str, root: Path, layout: str) -> Places:
    """The parts of data set `name` in `layout`, all of them present.

    Raises:
        DataError: no such folder, a part is missing (with what the folder looks like instead), or an official name
            with another layout than its own.
    """
    if layout not in OWN:
        raise DataError(f'{layout!r} is no layout: choose {", ".join(OWN)}.')
    if name in OFFICIAL and OFFICIAL[name].layout != layout:
        raise DataError(
            f'{name} is the official data set in {OFFICIAL[name].layout} layout, but {layout} layout is '
            'asked for: give your own data another name.'
        )
    if not root.is_dir():
        raise DataError(_absent(root))
    places = official_places(name) if name in OFFICIAL else OWN[layout]
    missing = [part for part in places.parts if not (root / part).exists()]
    if missing:
        raise DataError(f'{root} has no {missing[0]}: {name} needs {", ".join(places.parts)}.{hint(root, layout)}')
    return places


def official_places(name: str) -> Places:
    official = OFFICIAL[name]
    return Places(official.train_img, official.val_img, official.train_ann, official.val_ann)


def recognise(root: Path) -> list[tuple[str, str]]:
    """(layout, official name or 'own') of every layout that `root` has all parts of."""
    candidates = [(layout, 'own', places) for layout, places in OWN.items()]
    candidates += [
        (official.layout, name, official_places(name))
        for name, official in OFFICIAL.items()
        if official.layout != 'image_folder'
    ]  # in1k's folders are those of any image folder
    return [
        (layout, name)
        for layout, name, places in candidates
        if all((root / part).exists() for part in places.parts)
        and (layout != 'image_folder' or files.folders(root / places.train_img))
    ]


def begun(root: Path, kinds: list[str]) -> list[str]:
    """Layouts that only some parts of are there, beside those that are whole and share parts with them."""
    whole = {part for kind in kinds for part in OWN[kind].parts}
    own = {layout: [p for p in places.parts if p not in whole] for layout, places in OWN.items() if layout not in kinds}
    missing = {layout: [p for p in parts if not (root / p).exists()] for layout, parts in own.items()}
    return [
        f'{layout} layout: {", ".join(missing[layout])} missing, so nothing was read as {layout}.'
        for layout, parts in own.items()
        if len(missing[layout]) < len(parts)
    ]


def _absent(root: Path) -> str:
    """Says which part of the path is missing and what stands there instead."""
    if root.exists():
        return f"{root} is a file: give the data set's folder."
    parent = root.parent
    while not parent.is_dir():
        root, parent = parent, parent.parent
    close = get_close_matches(root.name, files.folders(parent), n=3, cutoff=0.5)
    hint = f'did you mean {" or ".join(str(parent / c) for c in close)}?' if close else 'check the path.'
    return f'{root} does not exist: {hint}'


def hint(root: Path, layout: str | None = None) -> str:
    """What a folder that does not fit looks like instead, where that can be told; None: any layout would do."""
    if _is_full_ade20k(root):
        return f'\nThis looks like {FULL_ADE20K}.'
    for child in files.folders(root):
        if any(layout in (found, None) for found, _ in recognise(root / child)):
            return f'\nDid you mean {root / child}?'
    found = [
        f'the {found} layout' if name == 'own' else f'official {name} (call it {name}={root})'
        for found, name in recognise(root)
    ]
    return f'\nThis looks like {" and ".join(found)}.' if found else ''


def _is_full_ade20k(root: Path) -> bool:
    """2021 keeps images/ADE/training/<scene>/, 2016 images/training/<letter>/<scene>/, both with an index file."""
    if any(root.glob('index_ade20k*')) or (root / 'images/ADE').is_dir():
        return True
    training = root / 'images/training'
    return training.is_dir() and not (root / 'annotations').exists() and bool(files.folders(training))
