"""`cae-bench run DIR --watch`: evaluates the checkpoints of a folder, each as it appears."""

import time
from pathlib import Path

from ..errors import CheckpointError, ConfigError
from ..logs import say
from ..runs.outcome import Outcome
from .run import run

SUFFIXES = ('.pth', '.pt', '.bin', '.safetensors')


def watch(folder: str | Path, name: str | None = None, every: float = 30, **options) -> Outcome:
    """Runs the same tasks on every checkpoint of a folder, oldest first, and on those that appear later.

    Ends when the finished file of `cae-bench pretrain` has been evaluated; in a folder of another tool, with Ctrl-C.
    A file counts as written once it has been left alone from one look to the next.

    Args:
        folder: checkpoints lie directly in it.
        name: models are called `<name>-<file>`; default: the folder's name.
        every: seconds between looks.
        options: as for cae_bench.run.

    Raises:
        CaeBenchError: wrong use or bad data. A file that is no checkpoint is named in `Outcome.failures` instead, and
            the watch goes on.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise ConfigError(f'{folder} is no folder: --watch takes the folder in which checkpoints appear')
    outcome, done, before = Outcome(), set(), {}
    name, finished = name or folder.resolve().name, False
    say(f'watches {folder}; Ctrl-C ends it')
    while not finished:
        now = _states(folder)
        for path, state in now.items():
            settled = state == before.get(path) or time.time() - state[1] / 1e9 >= every
            if state in done or not settled:
                continue
            done.add(state)
            finished |= _evaluate(path, f'{name}-{path.stem}', options, outcome)
        before = now
        if not finished:
            time.sleep(every)
    return outcome


def _states(folder: Path) -> dict[Path, tuple]:
    """{file: (name, time written in ns, size)}, oldest first. Hidden files are still being written by their tools."""
    found = {}
    for path in folder.iterdir():
        if path.suffix in SUFFIXES and not path.name.startswith('.'):
            try:
                stat = path.stat()
            except FileNotFoundError:  # training keeps the last few only
                continue
            found[path] = (path.name, stat.st_mtime_ns, stat.st_size)
    return dict(sorted(found.items(), key=lambda item: item[1][1]))


def _evaluate(path: Path, model: str, options: dict, outcome: Outcome) -> bool:
    """Adds the records of one file to the outcome; True where it is the last one of its training."""
    from ..pretraining import checkpoint_files as pretrain_files

    if not path.is_file():
        say(f'{path.name} was deleted before its turn')
        return False
    say(f'{path.name}: is evaluated as {model}')
    try:
        part = run(str(path), name=model, **options)
        last = pretrain_files.is_finished(path)
    except (CheckpointError, FileNotFoundError) as error:
        outcome.failures[model] = str(error)
        outcome.refused.add(model)
        say(f'{path.name}: {error}')
        return False
    outcome.add(part, model)
    return last
