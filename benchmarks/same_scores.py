"""Did a change of code move a score? Every mini protocol on drawn scenes, before and after it, record by record.

    git worktree add /tmp/before main
    (cd /tmp/before && python /path/to/benchmarks/same_scores.py make /tmp/scores/before)
    python benchmarks/same_scores.py make /tmp/scores/after
    python benchmarks/same_scores.py compare /tmp/scores/before /tmp/scores/after

`make` runs the code of the folder it is called in: minutes on one core. `compare` takes any two results folders whose
records were made by the same commands. It prints every score, interval, selection, per-image column and fingerprint that
differs, and every record that has no partner; it exits with 1 if there is any.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

CHECKPOINT = 'random:vit-32x4x2'  # 32 wide, 4 blocks, 2 heads: the arithmetic of every protocol in little time
SCENES = ['--num-train', '72', '--num-val', '12', '--size', '64']  # 12 a class: few-shot probes take up to 10
SHORTEN = '0.006'  # a few updates of the networks that are trained
SCORES = ('metrics', 'selection', 'fingerprint', 'protocol_version')
REASONS = ('dataset', 'config', 'overrides', 'limit', 'precision')  # of another fingerprint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest='command')
    make_command = commands.add_parser('make', help='run every mini protocol with the code of this folder')
    make_command.add_argument('folder', type=Path)
    compare_command = commands.add_parser('compare', help='print what differs between two results folders')
    compare_command.add_argument('before', type=Path)
    compare_command.add_argument('after', type=Path)
    options = parser.parse_args()
    if options.command == 'make':
        make(options.folder)
    else:
        sys.exit(compare(options.before, options.after))


def make(folder: Path) -> None:
    """Records of every mini protocol under `folder`, by the `cae_bench` of the current directory."""
    protocols = sorted(path.parent.name for path in Path('configs').glob('*/mini.py'))
    if not protocols:
        sys.exit('Call this in a checkout: there is no configs/*/mini.py here.')
    scenes = folder.resolve() / 'scenes'
    if not scenes.exists():
        _cae_bench('data', 'make', 'scenes', str(scenes), *SCENES)
    tasks = ','.join(f'scenes/{protocol}' for protocol in protocols)
    where = ['--data', f'scenes={scenes}', '--results', str(folder.resolve())]
    how = ['--recipe', 'mini', '--seed', '0', '--device', 'cpu', '--shorten', SHORTEN, '--overwrite']
    _cae_bench('run', CHECKPOINT, '--tasks', tasks, *where, *how)


def _cae_bench(*arguments: str) -> None:
    """One thread: sums over parts have one order, so equal code gives equal bits."""
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(Path.cwd())}
    done = subprocess.run([sys.executable, '-m', 'cae_bench', *arguments], env=environment, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


def compare(before: Path, after: Path) -> int:
    """Prints what differs; returns the exit code."""
    old, new = _records(before), _records(after)
    if not old or not new:
        sys.exit(f'no records under {before if not old else after}')
    differing = 0
    for key in sorted(old | new):
        for one, other in zip_longest(old.get(key, []), new.get(key, [])):
            lines = list(_differences(one, other))
            differing += bool(lines)
            print(f'{key}: {"the same" if not lines else ""}')
            for line in lines:
                print(f'  {line}')
    print(f'{differing} records differ' if differing else 'every record is the same')
    return 1 if differing else 0


def _records(folder: Path) -> dict[str, list[Path]]:
    """What was run -> its records, the oldest first."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for path in (folder / 'measured').rglob('*.json'):
        record = _read(path)
        if 'metrics' not in record:  # load reports lie there, too
            continue
        name = f'{record["model"]["name"]} {record["task"]} {record["recipe"]} seed {record["seed"]}'
        found.setdefault(name, []).append((record['started'], path))
    return {name: [path for _, path in sorted(runs)] for name, runs in found.items()}


def _differences(before: Path | None, after: Path | None) -> Iterator[str]:
    if before is None or after is None:
        yield 'there is no record of it before' if before is None else 'there is no record of it after'
        return
    one, other = _read(before), _read(after)
    for field in (*SCORES, *(REASONS if one['fingerprint'] != other['fingerprint'] else ())):
        yield from _leaves(field, one.get(field), other.get(field))
    columns = _columns(before), _columns(after)
    for name in sorted(columns[0].keys() | columns[1].keys()):
        yield from _column(name, columns[0].get(name), columns[1].get(name))


def _leaves(name: str, one, other) -> Iterator[str]:
    """'metrics.top1.value: 50.0 and 51.0', for each value that differs inside two JSON values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one | other:
            yield from _leaves(f'{name}.{key}', one.get(key), other.get(key))
    elif one != other:
        yield f'{name}: {_short(one)} and {_short(other)}'


def _column(name: str, one: list | None, other: list | None) -> Iterator[str]:
    if one is None or other is None:
        yield f'per image, {name}: only {"before" if other is None else "after"}'
    elif one != other:
        images = sum(a != b for a, b in zip_longest(one, other))
        yield f'per image, {name}: differs for {images} of {len(one)} images'


def _columns(record: Path) -> dict[str, list]:
    path = record.with_suffix('.parquet')
    if not path.exists():
        return {}
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pydict()


def _read(path: Path) -> dict:
    """A record, without the place of its results folder."""
    folder = next(parent.parent for parent in path.resolve().parents if parent.name == 'measured')
    return json.loads(path.read_text(encoding='utf-8').replace(str(folder), 'RESULTS'))


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f'{text[:150]}...{text[-40:]}'


if __name__ == '__main__':
    main()
