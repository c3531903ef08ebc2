"""Which code scored a record: seeds scored by different code are no repetitions of each other, and a table says so."""

from collections.abc import Iterable

from .record import Record

IDLE = ('python', 'pyarrow')  # recorded, and cannot move a score


def commit_of(record: Record) -> str:
    """'1a2b3c4d', '1a2b3c4d with uncommitted changes', or 'unknown' for an installed package."""
    commit = (record.git['commit'] or 'unknown')[:8]
    return commit + ' with uncommitted changes' * bool(record.git['dirty'])


def recorded_by_all(records: Iterable[Record]) -> list[str]:
    """The packages that can move a score and that every record names the version of."""
    return sorted(set.intersection(*(set(record.packages) for record in records)) - set(IDLE))


def differing_code(records: Iterable[Record], by_seed: bool = True) -> str | None:
    """What scored which seed, 'commit 1a2b3c4d (seeds 0, 1) and 5e6f7a8b (seed 2); torch 2.12.0 (...) and ...'.

    None where one commit without changes and the same packages scored all. A package that some records do not name is
    left out: they are of a version that did not record it.
    """
    records = list(records)
    parts = []
    if len({commit_of(r) for r in records}) > 1 or any(r.git['dirty'] for r in records):
        parts.append(('commit', [commit_of(r) for r in records]))
    parts += [
        (name, versions)
        for name in recorded_by_all(records)
        if len(set(versions := [r.packages[name] for r in records])) > 1
    ]
    return (
        '; '.join(
            _by_seed(what, versions, records) if by_seed else f'{what} {" and ".join(dict.fromkeys(versions))}'
            for what, versions in parts
        )
        or None
    )


def _by_seed(what: str, versions: list[str], records: list[Record]) -> str:
    seeds: dict[str, list[int]] = {}
    for version, record in zip(versions, records):
        seeds.setdefault(version, []).append(record.seed)
    named = (f'{value} (seed{"s" * (len(own) > 1)} {", ".join(map(str, own))})' for value, own in seeds.items())
    return f'{what} {" and ".join(named)}'
