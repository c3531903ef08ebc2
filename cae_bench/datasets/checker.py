"""What every layout's check shares: the report that it writes to, and reading many files at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ..errors import DataError
from .pixels import NOTES, look

Progress = Callable[[int, int], None]
Item = TypeVar('Item')
Result = TypeVar('Result')
SHOWN = 20  # entries of each kind that a report prints
AT_ONCE = 1024  # files handed to the threads at a time: a million futures would be gigabytes


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
        lines = [f'{self.name} ({self.root})']
        lines += [f'  {layout}: {holds}' for layout, holds in self.layouts.items()]
        lines += _section('warning', self.warnings) + _section('problem', self.problems)
        if self.ok:
            beside = 'nothing is wrong beside what is warned of' if self.warnings else 'nothing is wrong'
            lines.append(f'  Every file was read; {beside}.')
        return '\n'.join(lines)


def _section(title: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    lines = [f'  {len(entries)} {title}{"s" * (len(entries) > 1)}:']
    lines += ['    ' + entry.replace('\n', '\n    ') for entry in entries[:SHOWN]]
    if len(entries) > SHOWN:
        lines.append(f'    and {len(entries) - SHOWN} more')
    return lines


class Checker:
    """Reads the files of one layout in threads, as the loaders do, and collects what is wrong with them.

    Args:
        progress: called with (files read, files in all).
        workers: threads that decode; None: one per core.

    Attributes:
        problems, warnings: those of the report, to be added to.
    """

    def __init__(self, report: Report, progress: Progress | None = None, workers: int | None = None):
        self.problems, self.warnings = report.problems, report.warnings
        self.progress, self.workers = progress, workers or os.cpu_count() or 1
        self._noted: dict[str, list[str]] = {}

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The function's results in the order of the items; decoding leaves the interpreter lock to other threads."""
        with ThreadPoolExecutor(self.workers) as threads:
            for start in range(0, len(items), AT_ONCE):
                for i, result in enumerate(threads.map(function, items[start : start + AT_ONCE])):
                    if self.progress:
                        self.progress(start + i + 1, len(items))
                    yield result

    def image_size(self, path: str | Path) -> tuple[int, int] | DataError:
        """(width, height) of an image, decoded to its end, or what is wrong with it."""
        try:
            size, notes = look(path)
        except DataError as error:
            return error
        for note in notes:
            self._noted.setdefault(note, []).append(str(path))
        return size

    def image_sizes(self, paths: Sequence[Path]) -> Iterator[tuple[int, int] | None]:
        """(width, height) of each image; None, and a problem, for one that cannot be read."""
        for result in self.map(self.image_size, paths):
            if isinstance(result, DataError):
                self.problems.append(str(result))
                yield None
            else:
                yield result

    def warn_of_notes(self) -> None:
        """Counts the images that are not read as they are."""
        for note, (one, several, becomes) in NOTES.items():
            if paths := sorted(self._noted.get(note, ())):
                who = f'1 image {one}' if len(paths) == 1 else f'{len(paths):,} images {several}'
                self.warnings.append(f'{who} {becomes}. The first: {paths[0]}.')
