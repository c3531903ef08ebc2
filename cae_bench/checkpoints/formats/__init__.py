"""One checkpoint format a file, found by folder. Of the formats that fit a file, the most specific one reads it.

A format file holds
    NAME       what reports call it
    KEYS       the groups of keys that it demands: a pattern each, as in `fnmatch`, or a tuple of patterns of which one
               is enough. A group is there if any key of the file matches it.
    matches()  only where the tensors' content decides beside their names; no format asks for another one's keys here
    convert()  gives our names

The most specific format is the one that demands the most groups: an encoder with a classifier demands more than the
encoder alone, so neither has to exclude the other. Two of equal number are an error that names both. A new format is a
new file: it demands what its files have beside those of the formats known before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import ModuleType

from ...errors import CheckpointError
from ...paths import import_all
from .._conversion import Conversion, KeyGroup, StateDict


@dataclass(frozen=True)
class Format:
    """A format file, read.

    Attributes:
        file: name of its module.
        matches: whether the content of a file that has all key groups is of this format.
    """

    file: str
    name: str
    keys: tuple[KeyGroup, ...]
    matches: Callable[[StateDict], bool]
    convert: Callable[[StateDict], Conversion]

    def fits(self, sd: StateDict) -> bool:
        return all(has_group(sd, group) for group in self.keys) and self.matches(sd)


def known_formats() -> list[Format]:
    """Every file of this folder, in alphabetical order."""
    return [_read(module) for module in import_all(__name__, list(__path__))]


def find_format(sd: StateDict, among: Iterable[Format] | None = None) -> Format:
    """The most specific of the formats that fit; CheckpointError where there is none, or more than one."""
    known = known_formats() if among is None else list(among)
    fitting = [fmt for fmt in known if fmt.fits(sd)]
    if not fitting:
        raise CheckpointError(
            f'no format matches; first keys are {list(sd)[:4]}. Known formats: '
            f'{", ".join(fmt.name for fmt in known)}. For another one add a file to '
            'cae_bench/checkpoints/formats.'
        )
    most = max(len(fmt.keys) for fmt in fitting)
    best = [fmt for fmt in fitting if len(fmt.keys) == most]
    if len(best) > 1:
        raise CheckpointError(
            f'formats {" and ".join(fmt.name for fmt in best)} both match; first keys are {list(sd)[:4]}. Each demands '
            f'{most} groups of keys: please report this, the right one must demand more (KEYS of its format file).'
        )
    return best[0]


def has_group(sd: StateDict, group: KeyGroup) -> bool:
    """Whether any key matches the pattern, or one of the patterns."""
    patterns = (group,) if isinstance(group, str) else group
    return any(fnmatchcase(key, pattern) for pattern in patterns for key in sd)


def _read(module: ModuleType) -> Format:
    if not isinstance(module.KEYS, tuple) or not module.KEYS:
        raise TypeError(f'{module.__name__}: KEYS must be a tuple of key groups, at least one.')
    matches = getattr(module, 'matches', _any_content)
    return Format(module.__name__.rpartition('.')[2], module.NAME, module.KEYS, matches, module.convert)


def _any_content(sd: StateDict) -> bool:
    return True
