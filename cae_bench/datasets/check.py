"""Verifies a data folder completely, reading every file: what `cae-bench data check NAME=DIR` prints."""

from pathlib import Path

from ..errors import DataError
from .checker import Checker, Progress, Report
from .data_info import DataInfo
from .describe import describe
from .layouts import Layout, all_layouts, find_layout, official_layout
from .locate import begun, hint, locate, recognise


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
    found = [layout] if layout else _layouts(name, root)
    if not layout and official_layout(name) is None:
        report.warnings += begun(root, found)
    for kind in found:
        try:
            info = describe(name, root, kind, strict=False)  # the check names each fault instead
        except DataError as error:
            report.problems.append(str(error))
            continue
        checker, layout_of_kind = Checker(report, progress, workers), find_layout(kind)
        report.layouts[kind] = layout_of_kind.check(info, checker)
        checker.warn_of_notes()
        report.warnings += _compare_with_release(info, layout_of_kind)
    # two layouts may share an image
    report.problems, report.warnings = (list(dict.fromkeys(lines)) for lines in (report.problems, report.warnings))
    return report


def _layouts(name: str, root: Path) -> list[str]:
    """The layouts to check: an official data set's own, else all that are whole, else the one most parts are of."""
    if official := official_layout(name):
        return [official.name]
    layouts = all_layouts()
    if not root.is_dir():
        locate(name, root, next(iter(layouts)))  # raises, naming the nearest folder
    found = [layout for layout, owner in recognise(root) if owner is None]
    if found:
        return found
    there = {kind: len(layout.places.parts) - len(layout.places.missing(root)) for kind, layout in layouts.items()}
    best = max(there, key=lambda kind: there[kind])
    if not there[best]:
        kinds = '; '.join(f'{kind}: {", ".join(layout.places.parts)}' for kind, layout in layouts.items())
        raise DataError(f'{root} has no layout that is known here.\n{kinds}.{hint(root)}')
    return [best]  # describe then says what is missing


def _compare_with_release(info: DataInfo, layout: Layout) -> list[str]:
    """Warnings of an official data set with other counts than its release."""
    release = layout.released.get(info.name)
    if release is None:
        return []
    counts = (
        ('train images', info.num_train, release.num_train),
        ('val images', info.num_val, release.num_val),
        ('classes', len(info.classes), len(release.classes)),
    )
    return [
        f'{found:,} {what}; the official {info.name} has {expected:,}: scores are not comparable with published ones.'
        for what, found, expected in counts
        if found != expected
    ]
