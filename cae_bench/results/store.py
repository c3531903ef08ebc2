"""The ledger: records as files under `<results>/measured`, one per run and seed, per-image columns beside them."""

import contextlib
import gc
import warnings
from pathlib import Path

from ..errors import RecordError
from . import files
from .record import NewerRecordError, Record, dumps, loads

MEASURED = 'measured'


def path_for(results_dir: str | Path, record: Record) -> Path:
    """results/measured/<model>/<dataset>/<protocol>/<recipe>-<fingerprint8>-seed<seed>.json

    The folder of a model whose name is no file name ends in a hash of it: 'a/b' and 'a_b' are two.
    """
    return _path(results_dir, files.distinct_name(record.model.name), record)


def check_writable(results_dir: str | Path) -> None:
    """Raises RecordError unless a record could be written here; the runner asks before it computes."""
    files.check_writable(Path(results_dir, MEASURED))


def write_record(results_dir: str | Path, record: Record, per_image: dict[str, list] | None = None) -> Path:
    """Validates and writes a record, atomically, and `per_image` columns as Parquet beside it; returns the path.

    Args:
        per_image: column name -> one value per image, 'image' first; read back with `read_per_image`.
    """
    path = path_for(results_dir, record)
    if _holds_another_model(path, record.model.name):
        path = _path(results_dir, files.hashed_name(record.model.name), record)
    text = dumps(record.to_dict(), path) + '\n'
    # Half a surrogate pair, from a file name that is not UTF-8, becomes its JSON escape: it is read back as it was.
    content = text.encode(errors='backslashreplace')
    if per_image is None:
        with files.writing(path) as (draft,):
            draft.write_bytes(content)
        return path
    table = _arrow_table(per_image, path)
    # The columns take their place first: a record never promises columns that are not there.
    with files.writing(path.with_suffix('.parquet'), path) as (columns, draft):
        _write_parquet(table, columns)
        draft.write_bytes(content)
    return path


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

    Failed, interrupted and damaged records do not count as done: the next run replaces them. Raises RecordError for
    one that a newer version wrote, which must not be replaced.
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
            if (
                record.fingerprint == fingerprint
                and record.status == 'ok'
                and (model is None or record.model.name == model)
            ):
                return record
    return None


def read_per_image(record: Record | str | Path) -> dict[str, list] | None:
    """The per-image columns beside a record, None where the run kept none; raises RecordError for a damaged file."""
    path = record.path if isinstance(record, Record) else Path(record)
    path = path and path.with_suffix('.parquet')
    if path is None or not path.exists():
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not path.is_file():  # a FIFO would be waited for
            raise OSError('no regular file')
        table = pq.read_table(path)
        if not pa.types.is_string(table.schema.field('image').type):
            raise OSError('its images have no names')
        return table.to_pydict()
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise RecordError(f'{path}: damaged per-image file ({error}). Run the task again with --overwrite.') from error


def _path(results_dir: str | Path, folder: str, record: Record) -> Path:
    name = f'{record.recipe}-{record.fingerprint[:8]}-seed{record.seed}.json'
    return Path(results_dir, MEASURED, folder, record.dataset.name, record.protocol, name)


def _holds_another_model(path: Path, name: str) -> bool:
    """Where 'CAE' and 'cae' are one folder, as on macOS, or an older version put another model's record."""
    try:
        return read_record(path).model.name != name
    except RecordError:  # not there, or damaged: to be replaced
        return False


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


def _arrow_table(columns: dict[str, list], path: Path):
    import pyarrow as pa

    lengths = {name: len(values) for name, values in columns.items()}
    if next(iter(columns), None) != 'image' or len(set(lengths.values())) != 1:
        raise RecordError(
            f"{path}: per-image columns need 'image' first and one value per image, got lengths {lengths}."
        )
    return pa.table({name: pa.array(list(values)) for name, values in columns.items()})


def _write_parquet(table, path: Path) -> None:
    import pyarrow.parquet as pq

    with open(path, 'wb') as file:
        pq.write_table(table, file)
