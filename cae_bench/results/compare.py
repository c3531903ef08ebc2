"""`cae-bench compare A B`: may these two be compared at all, what differs, and is the difference more than luck."""
from dataclasses import dataclass
from pathlib import Path

from ..errors import RecordError, nearest
from ..visible import visible
from .columns import METRICS
from .measured import setting
from .paired import Difference, differences
from .record import Record
from .store import load_records, read_record


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two records set against each other; `differences` is empty where `obstacles` forbid the comparison."""
    a: Record
    b: Record
    obstacles: tuple[str, ...]
    remarks: tuple[str, ...]
    differences: tuple[Difference, ...]


def compare(a: str, b: str, results_dir: str | Path = 'results') -> list[Pair]:
    """Compares two records, or two models on every task both were measured on.

    Args:
        a, b: the path of a record, or the name of a model measured under `results_dir`.
    Raises:
        RecordError for an unknown name, with the nearest ones, or when two models share no task.
    """
    ours, theirs = _records(a, results_dir), _records(b, results_dir)
    if len(ours) == len(theirs) == 1:
        return [_pair(ours[0], theirs[0])]
    pairs = [_pair(*best) for task in dict.fromkeys(r.task for r in ours) if (best := _closest(task, ours, theirs))]
    if not pairs:
        raise RecordError(f'{a} and {b} were measured on no common task: {_tasks(ours)} against {_tasks(theirs)}.')
    return pairs


def obstacles(a: Record, b: Record) -> tuple[str, ...]:
    """Why two numbers must not be compared, in words."""
    found = []
    if a.task != b.task:
        found.append(f'different tasks: {a.task} and {b.task}')
    elif a.dataset.content_hash != b.dataset.content_hash:
        found.append(f'different files under the name {a.dataset.name} '
                     f'({a.dataset.num_val} and {b.dataset.num_val} val images)')
    if a.protocol == b.protocol and a.protocol_version != b.protocol_version:
        found.append(f'different versions of the protocol: {a.protocol_version} and {b.protocol_version}')
    if a.recipe != b.recipe:
        found.append(f'different recipes: {a.recipe} and {b.recipe}')
    if a.limit != b.limit:
        found.append(f'different numbers of images used: {a.limit or "all"} and {b.limit or "all"}')
    found += [f'{record.model.name}: the run ended as {record.status}' for record in (a, b) if record.status != 'ok']
    return tuple(found)


def remarks(a: Record, b: Record) -> tuple[str, ...]:
    """What else differs and may move the score a little, or explain it."""
    told = [('settings', setting(a), setting(b)), ('seed', a.seed, b.seed),
            ('hyper-parameters chosen on', a.selection and a.selection['by'], b.selection and b.selection['by']),
            ('commit', (a.git['commit'] or '')[:8], (b.git['commit'] or '')[:8])]
    told += [(name, a.packages.get(name), b.packages.get(name)) for name in ('torch', 'mmengine', 'mmdet', 'mmseg')]
    same = a.fingerprint == b.fingerprint and a.seed == b.seed
    return (*(['one and the same run'] if same else []),
            *(f'{name}: {_word(x)} and {_word(y)}' for name, x, y in told if x != y))


def explain(pairs: list[Pair]) -> str:
    """The comparison as text for a terminal."""
    return '\n\n'.join('\n'.join(map(visible, _lines(pair))) for pair in pairs)


def _lines(pair: Pair) -> list[str]:
    lines = [f'{pair.a.task}: A = {pair.a.model.name}, B = {pair.b.model.name} '
             f'(recipe {pair.a.recipe}, protocol version {pair.a.protocol_version})']
    lines += [f'  not comparable: {text}' for text in pair.obstacles]
    lines += [f'  {METRICS.get(d.metric, d.metric)}: {_sentence(d)}' for d in pair.differences]
    return lines + [f'  differs: {text}' for text in pair.remarks]


def _sentence(d: Difference) -> str:
    gap = f'A {d.a:.1f}, B {d.b:.1f}, A - B = {d.a - d.b:+.1f}'
    if d.ci95 is None:
        return f'{gap}; {d.test}'
    verdict = 'significant' if d.significant else 'not significant'
    return f'{gap} [{d.ci95[0]:+.1f}, {d.ci95[1]:+.1f}], p = {d.p:.2g}: {verdict} ({d.test})'


def _pair(a: Record, b: Record) -> Pair:
    stops = obstacles(a, b)
    return Pair(a=a, b=b, obstacles=stops, remarks=remarks(a, b), differences=() if stops else differences(a, b))


def _closest(task: str, ours: list[Record], theirs: list[Record]) -> tuple[Record, Record] | None:
    """The two records of a task with the fewest obstacles, then of one seed, then the newest."""
    pairs = [(a, b) for a in ours for b in theirs if a.task == b.task == task]
    pairs.sort(key=lambda p: (p[0].started, p[1].started), reverse=True)
    return min(pairs, default=None, key=lambda p: (len(obstacles(*p)), setting(p[0]) != setting(p[1]),
                                                   p[0].seed != p[1].seed, p[0].seed))


def _records(name: str, results_dir: str | Path) -> list[Record]:
    if name.endswith('.json'):
        return [read_record(name)]
    records = [r for r in load_records(results_dir, []) if r.status == 'ok']
    found = [r for r in records if r.model.name == name]
    if not records:
        raise RecordError(f'{results_dir}: no finished record yet, so {name} cannot be compared. '
                          f'Make one with `cae-bench run`, or name another folder with --results.')
    if not found:
        raise RecordError(f'{name}: neither a record (.json) nor a model measured under {results_dir}.'
                          f'{nearest(name, {r.model.name for r in records})}')
    return found


def _word(value) -> str:
    return 'none' if value in (None, '') else str(value)


def _tasks(records: list[Record]) -> str:
    return ', '.join(dict.fromkeys(record.task for record in records))
