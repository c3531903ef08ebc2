"""Finds the parts of a data folder, and says what a folder that does not fit looks like instead."""

from difflib import get_close_matches
from pathlib import Path

from ..errors import DataError
from . import files
from .layouts import all_layouts, find_layout, official_layout


def locate(name: str, root: Path, layout: str) -> None:
    """Makes sure that all parts of data set `name` in `layout` lie at `root`.

    Raises:
        DataError: no such folder, a part is missing (with what the folder looks like instead), or an official name
            with another layout than its own.
    """
    wanted, official = find_layout(layout), official_layout(name)
    if official and official.name != layout:
        raise DataError(
            f'{name} is the official data set in {official.name} layout, but {layout} layout is '
            'asked for: give your own data another name.'
        )
    if not root.is_dir():
        raise DataError(_absent(root))
    places = wanted.places_of(name)
    missing = places.missing(root)
    if missing:
        raise DataError(f'{root} has no {missing[0]}: {name} needs {", ".join(places.parts)}.{hint(root, layout)}')


def recognise(root: Path) -> list[tuple[str, str | None]]:
    """(layout, official name or None) of every layout that `root` has all parts of."""
    layouts = all_layouts().values()
    found: list[tuple[str, str | None]] = []
    found += [(layout.name, None) for layout in layouts if layout.matches(root, layout.places)]
    for layout in layouts:
        for name, release in layout.released.items():
            # in1k's folders are those of any image folder
            if release.places != layout.places and layout.matches(root, release.places):
                found.append((layout.name, name))
    return found


def begun(root: Path, whole: list[str]) -> list[str]:
    """Warnings of layouts that only some parts of are there, beside those that are whole and share parts with them."""
    layouts = all_layouts()
    shared = {part for name in whole for part in layouts[name].places.parts}
    warnings = []
    for name, layout in layouts.items():
        own = [part for part in layout.places.parts if part not in shared]
        missing = [part for part in layout.places.missing(root) if part not in shared]
        if name not in whole and len(missing) < len(own):
            warnings.append(f'{name} layout: {", ".join(missing)} missing, so nothing was read as {name}.')
    return warnings


def hint(root: Path, layout: str | None = None) -> str:
    """What a folder that does not fit looks like instead, where that is known; layout None: any layout would do."""
    for one in all_layouts().values():
        if lookalike := one.lookalike(root):
            return f'\nThis looks like {lookalike}.'
    for child in files.folders(root):
        if any(layout in (found, None) for found, _ in recognise(root / child)):
            return f'\nDid you mean {root / child}?'
    found = [
        f'the {found} layout' if name is None else f'official {name} (call it {name}={root})'
        for found, name in recognise(root)
    ]
    return f'\nThis looks like {" and ".join(found)}.' if found else ''


def _absent(root: Path) -> str:
    """Says which part of the path is missing and what stands there instead."""
    if root.exists():
        return f"{root} is a file: give the data set's folder."
    parent = root.parent
    while not parent.is_dir():
        root, parent = parent, parent.parent
    close = get_close_matches(root.name, files.folders(parent), n=3, cutoff=0.5)
    hint = f'did you mean {" or ".join(str(parent / name) for name in close)}?' if close else 'check the path.'
    return f'{root} does not exist: {hint}'
