"""Reading records: files under `<results>/measured`, one per run and seed. Reading needs neither pyarrow nor jsonschema."""

import contextlib
import gc
import warnings
from pathlib import Path

from ..errors import RecordError
from . import files
from .json_text import loads
from .record import NewerRecordError, Record

MEASURED = 'measured'


def path_for(results_dir: str | Path, record: Record) -> Path:
    """results/measured/<model>/<dataset>/<protocol>/<recipe>-<fingerprint8>-seed<seed>.json

    The folder of a model whose name is no file name ends in a hash of it: 'a/b' and 'a_b' are two.
    """
    return path_in(files.distinct_name(record.model.name), results_dir, record)


def path_in(folder: str, results_dir: str | Path, record: Record) -> Path:
    """The same in another folder than the model's."""
    name = f'{record.recipe}-{record.fingerprint[:8]}-seed{record.seed}.json'
    return Path(results_dir, MEASURED, folder, record.dataset.name, record.protocol, name)


def check_writable(results_dir: str | Path) -> None:
    """Raises RecordError unless a record could be written here; the runner asks before it computes."""
    files.check_writable(Path(results_dir, MEASURED))


def read_record(path: str | Path) -> Record:
    """Reads and validates one record; raises RecordError naming file, field and remedy."""
    path = Path(path)
    return Record.from_dict(loads(files.read_text(path), path), path)


def load_records(results_dir: str | Path, damaged: list[RecordError] | None = None) -> list[Record]:
    """All records under a results folder, in the order of their paths.

    A damaged record does not hide the good ones: its RecordError goes into `damaged`, without a list into a warning.
    """
    folder = Path(results_dir)
    if not folder.is_dir():
        raise RecordError(
            f'{folder}: no such results folder. Make one with `cae-bench run` or name another with --results.'
        )
    records, errors = [], []
    with _without_garbage_collection():
        for path in sorted((folder / MEASURED).rglob('*.json')):
            try:
                records.append(read_record(path))
            except RecordError as error:
                errors.append(error)
    if damaged is not None:
        damaged += errors
    for error in errors if damaged is None else []:
        warnings.warn(str(error), stacklevel=2)
    return records


def find(results_dir: str | Path, fingerprint: str, seed: int, model: str | None = None) -> Record | None:
    """The finished record of this fingerprint and seed, of any model name or of `model`; None when there is none.

    Damaged records do not count as done: the next run replaces them. Raises RecordError for one that a newer version
    wrote, which must not be replaced.
    """
    measured = Path(results_dir, MEASURED)
    # Versions before this one put 'a/b' into the folder of 'a_b'.
    names = ['*'] if model is None else [files.distinct_name(model), files.safe_name(model), files.hashed_name(model)]
    for folder in dict.fromkeys(names):
        for path in sorted(measured.glob(f'{folder}/*/*/*-{fingerprint[:8]}-seed{seed}.json')):
            try:
                record = read_record(path)
            except NewerRecordError:
                raise
            except RecordError:
                continue
            if record.fingerprint == fingerprint and model in (None, record.model.name):
                return record
    return None


@contextlib.contextmanager
def _without_garbage_collection():
    """Thousands of nested records hold no cycles; looking for some took a third of the reading time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
