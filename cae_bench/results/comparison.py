"""`cae-bench compare A B`: may these two be compared at all, what differs, and is the difference more than luck."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import RecordError, nearest
from ..logs import visible
from .code_versions import commit_of, differing_code, recorded_by_all
from .columns import METRICS
from .differences import Difference, differences
from .measured import setting
from .record import Record
from .store import load_records, read_record

Runs = tuple[Record, ...]  # the seeds of one model on one task, of one fingerprint
Fact = Callable[[Record], object]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two models' runs set against each other; `differences` is empty where `obstacles` forbid the comparison."""

    a: Runs
    b: Runs
    obstacles: tuple[str, ...]
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]  # runs scored by different code, and what the interval leaves out
    differences: tuple[Difference, ...]


def compare(a: str, b: str, results_dir: str | Path = 'results') -> list[Pair]:
    """Compares two records, or two models with all their seeds on every task both were measured on.

    Args:
        a, b: the path of a record, or the name of a model measured under `results_dir`.

    Raises:
        RecordError for an unknown name, with the nearest ones, or when two models share no task.
    """
    ours, theirs = _records(a, results_dir), _records(b, results_dir)
    one, other = _repetitions(ours), _repetitions(theirs)
    if len(one) == len(other) == 1:
        return [_pair(one[0], other[0])]
    pairs = []
    for task in dict.fromkeys(record.task for record in ours):
        if closest := _closest(task, one, other):
            pairs.append(_pair(*closest))
    if not pairs:
        raise RecordError(f'{a} and {b} were measured on no common task: {_tasks(ours)} against {_tasks(theirs)}.')
    return pairs


def obstacles(a: Record, b: Record) -> tuple[str, ...]:
    """Why two numbers must not be compared, in words."""
    found = []
    if a.task != b.task:
        found.append(f'different tasks: {a.task} and {b.task}')
    elif a.dataset.content_hash != b.dataset.content_hash:
        found.append(
            f'different files under the name {a.dataset.name} ({a.dataset.num_val} and {b.dataset.num_val} val images)'
        )
    if a.protocol == b.protocol and a.protocol_version != b.protocol_version:
        found.append(f'different versions of the protocol: {a.protocol_version} and {b.protocol_version}')
    if a.recipe != b.recipe:
        found.append(f'different recipes: {a.recipe} and {b.recipe}')
    if a.limit != b.limit:
        found.append(f'different numbers of images used: {a.limit or "all"} and {b.limit or "all"}')
    return tuple(found)


def remarks(a: Runs, b: Runs) -> tuple[str, ...]:
    """What else differs and may move the score a little, or explain it."""
    ours = [(run.fingerprint, run.seed) for run in a]
    theirs = [(run.fingerprint, run.seed) for run in b]
    found = ['one and the same run'] if ours == theirs else []
    for name, fact in _facts(a, b).items():
        of_a, of_b = _words(a, fact), _words(b, fact)
        if of_a != of_b:
            found.append(f'{name}: {of_a} and {of_b}')
    return tuple(found)


def _facts(a: Runs, b: Runs) -> dict[str, Fact]:
    """What is compared of the runs, by name."""
    facts: dict[str, Fact] = {'settings': setting}
    if len(a) == len(b) == 1:  # of several, the head lists the seeds
        facts['seed'] = lambda run: run.seed
    facts['hyper-parameters chosen on'] = lambda run: run.selection['by'] if run.selection else None
    facts['commit'] = commit_of
    for package in recorded_by_all([*a, *b]):
        facts[package] = lambda run, package=package: run.packages[package]
    return facts


def warnings(a: Runs, b: Runs, tested: bool = True) -> tuple[str, ...]:
    """Why the interval may say less, or more, than it seems to."""
    found = [
        f'seeds of {name} were scored by different code, {code}'
        for name, runs in (('A', a), ('B', b))
        if len(runs) > 1 and (code := differing_code(runs))
    ]
    if not found and (code := differing_code([*a, *b], by_seed=False)):
        found.append(f'A and B were scored by different code, {code}')
    if not tested:
        return tuple(found)
    if len(a) == len(b) == 1:
        found.append('one seed each: the interval is over images alone, another seed may move either score')
    elif 1 in (len(a), len(b)):
        one, other = ('A', 'B') if len(a) == 1 else ('B', 'A')
        found.append(f'{one} has one seed: its seeds are taken to vary as those of {other}')
    return tuple(found)


def explain(pairs: list[Pair]) -> str:
    """The comparison as text for a terminal."""
    return '\n\n'.join('\n'.join(map(visible, _lines(pair))) for pair in pairs)


def _lines(pair: Pair) -> list[str]:
    first = pair.a[0]
    lines = [
        f'{first.task}: A = {_name(pair.a)}, B = {_name(pair.b)} '
        f'(recipe {first.recipe}, protocol version {first.protocol_version})'
    ]
    lines += [f'  not comparable: {text}' for text in pair.obstacles]
    lines += [f'  {METRICS.get(d.metric, d.metric)}: {_sentence(d)}' for d in pair.differences]
    return lines + [f'  differs: {text}' for text in pair.remarks] + [f'  warning: {text}' for text in pair.warnings]


def _name(runs: Runs) -> str:
    """'cae (seed 0)', 'cae (3 seeds: 0, 1, 2)'."""
    seeds = ', '.join(str(run.seed) for run in runs)
    return f'{runs[0].model.name} ({f"{len(runs)} seeds: {seeds}" if len(runs) > 1 else f"seed {seeds}"})'


def _sentence(d: Difference) -> str:
    gap = f'A {d.a:.1f}, B {d.b:.1f}, A - B = {d.a - d.b:+.1f}'
    if d.ci95 is None:
        return f'{gap}; {d.test}'
    verdict = 'significant' if d.significant else 'not significant'
    return f'{gap} [{d.ci95[0]:+.1f}, {d.ci95[1]:+.1f}], p = {d.p:.2g}: {verdict} ({d.test})'


def _pair(a: Runs, b: Runs) -> Pair:
    stops = obstacles(a[0], b[0])
    if stops:
        return Pair(a=a, b=b, obstacles=stops, remarks=remarks(a, b), differences=(), warnings=())
    damaged: list[RecordError] = []
    found = differences(a, b, damaged)
    cautions = warnings(a, b, tested=any(difference.ci95 for difference in found))
    return Pair(
        a=a,
        b=b,
        obstacles=(),
        remarks=remarks(a, b),
        differences=found,
        warnings=(*map(str, damaged), *cautions),
    )


def _repetitions(records: list[Record]) -> list[Runs]:
    """Runs of one fingerprint, by seed; of a seed that was run twice the newest."""
    found: dict[tuple[str, str], dict[int, Record]] = {}
    for record in sorted(records, key=lambda r: r.started):
        found.setdefault((record.task, record.fingerprint), {})[record.seed] = record
    return [tuple(seeds[seed] for seed in sorted(seeds)) for seeds in found.values()]


def _closest(task: str, ours: list[Runs], theirs: list[Runs]) -> tuple[Runs, Runs] | None:
    """The runs of a task with the fewest obstacles, then of one setting, then the newest."""

    def newest(pair: tuple[Runs, Runs]) -> tuple[str, ...]:
        return _newest(pair[0]), _newest(pair[1])

    def distance(pair: tuple[Runs, Runs]) -> tuple[int, bool]:
        a, b = pair[0][0], pair[1][0]
        return len(obstacles(a, b)), setting(a) != setting(b)

    pairs = [(a, b) for a in ours for b in theirs if a[0].task == b[0].task == task]
    return min(sorted(pairs, key=newest, reverse=True), default=None, key=distance)


def _newest(runs: Runs) -> str:
    return max(run.started for run in runs)


def _records(name: str, results_dir: str | Path) -> list[Record]:
    if name.endswith('.json'):
        return [read_record(name)]
    records = load_records(results_dir, [])
    found = [r for r in records if r.model.name == name]
    if not records:
        raise RecordError(
            f'{results_dir}: no finished record yet, so {name} cannot be compared. '
            f'Make one with `cae-bench run`, or name another folder with --results.'
        )
    if not found:
        raise RecordError(
            f'{name}: neither a record (.json) nor a model measured under {results_dir}.'
            f'{nearest(name, {r.model.name for r in records})}'
        )
    return found


def _words(runs: Runs, fact: Fact) -> str:
    """The fact of every run, each value once, in the order of seeds."""
    values = dict.fromkeys(fact(run) for run in runs)
    return ', '.join('none' if value in (None, '') else str(value) for value in values)


def _tasks(records: list[Record]) -> str:
    return ', '.join(dict.fromkeys(record.task for record in records))
