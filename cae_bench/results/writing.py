"""Writing a record: checked against the whole schema, then put in its place together with its per-image columns."""

from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from ..errors import RecordError
from . import files, per_image_file
from .json_text import dumps
from .record import Record
from .schema import RECORD
from .store import path_for, path_in, read_record

SCHEMA = Draft202012Validator(RECORD)


def write_record(results_dir: str | Path, record: Record, per_image: dict[str, list[Any]] | None = None) -> Path:
    """Writes a record, atomically, and `per_image` columns as Parquet beside it; returns the path.

    Args:
        per_image: column name -> one value per image, 'image' first; read back with `read_per_image`.

    Raises:
        RecordError: what could not be read back, or files that cannot be written; nothing is left half written.
    """
    path = path_for(results_dir, record)
    if _holds_another_model(path, record.model.name):
        path = path_in(files.hashed_name(record.model.name), results_dir, record)
    data = record.to_dict()
    check(data, path)
    # Half a surrogate pair, from a file name that is not UTF-8, becomes its JSON escape: it is read back as it was.
    content = f'{dumps(data, path)}\n'.encode(errors='backslashreplace')
    if per_image is None:
        with files.writing(path) as (draft,):
            draft.write_bytes(content)
        return path
    table = per_image_file.table(per_image, path)
    # The columns take their place first: a record never promises columns that are not there.
    with files.writing(path.with_suffix('.parquet'), path) as (columns, draft):
        per_image_file.write(table, columns)
        draft.write_bytes(content)
    return path


def check(data: dict[str, Any], where: Path | str) -> None:
    """Holds the JSON form of a record against the whole schema; raises RecordError naming the first field."""
    for error in SCHEMA.iter_errors(data):
        name = '.'.join(str(part) for part in error.absolute_path) or 'the whole record'
        raise RecordError(f'{where}: field {name}: {error.message}. Fix the code that made the record.')


def _holds_another_model(path: Path, name: str) -> bool:
    """Where 'CAE' and 'cae' are one folder, as on macOS, or an older version put another model's record."""
    try:
        return read_record(path).model.name != name
    except RecordError:  # not there, or damaged: to be replaced
        return False
