"""Which code scored a record: seeds scored by different code are no repetitions of each other, and a table says so."""

from collections import defaultdict
from collections.abc import Iterable

from .record import Record

IDLE = ('python', 'pyarrow')  # recorded, and cannot move a score


def commit_of(record: Record) -> str:
    """'1a2b3c4d', '1a2b3c4d with uncommitted changes', or 'unknown' for an installed package."""
    commit = (record.git['commit'] or 'unknown')[:8]
    return f'{commit} with uncommitted changes' if record.git['dirty'] else commit


def recorded_by_all(records: Iterable[Record]) -> list[str]:
    """The packages that can move a score and that every record names the version of."""
    named = [set(record.packages) for record in records]
    return sorted(set.intersection(*named) - set(IDLE))


def differing_code(records: Iterable[Record], by_seed: bool = True) -> str | None:
    """What scored which seed, 'commit 1a2b3c4d (seeds 0, 1) and 5e6f7a8b (seed 2); torch 2.12.0 (...) and ...'.

    None where one commit without changes and the same packages scored all. A package that some records do not name is
    left out: they are of a version that did not record it.
    """
    records = list(records)
    scored_by = {'commit': [commit_of(record) for record in records]}
    is_dirty = any(record.git['dirty'] for record in records)
    for package in recorded_by_all(records):
        scored_by[package] = [record.packages[package] for record in records]
    differing = []
    for what, versions in scored_by.items():
        if len(set(versions)) > 1 or what == 'commit' and is_dirty:
            differing.append(_by_seed(what, versions, records) if by_seed else _in_order(what, versions))
    return '; '.join(differing) or None


def _in_order(what: str, versions: list[str]) -> str:
    return f'{what} {" and ".join(dict.fromkeys(versions))}'


def _by_seed(what: str, versions: list[str], records: list[Record]) -> str:
    seeds: dict[str, list[int]] = defaultdict(list)
    for version, record in zip(versions, records):
        seeds[version].append(record.seed)
    named = []
    for version, own in seeds.items():
        named.append(f'{version} (seed{"s" * (len(own) > 1)} {", ".join(map(str, own))})')
    return f'{what} {" and ".join(named)}'
