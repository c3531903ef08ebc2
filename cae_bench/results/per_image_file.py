"""Per-image columns beside a record, as Parquet: read for paired tests, written with the record."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import RecordError
from .record import Record


def read_per_image(record: Record | str | Path) -> dict[str, list[Any]] | None:
    """The per-image columns beside a record, None where the run kept none; raises RecordError for a damaged file."""
    place = record.path if isinstance(record, Record) else Path(record)
    if place is None or not place.with_suffix('.parquet').exists():
        return None
    path = place.with_suffix('.parquet')
    try:
        if not path.is_file():  # a FIFO would be waited for
            raise OSError('no regular file')
        columns = pq.read_table(path)
        if not pa.types.is_string(columns.schema.field('image').type):
            raise OSError('its images have no names')
        return columns.to_pydict()
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise RecordError(f'{path}: damaged per-image file ({error}). Run the task again with --overwrite.') from error


def table(columns: dict[str, list[Any]], path: Path) -> pa.Table:
    """The columns of a record at `path`; raises RecordError unless each has one value per image, 'image' first."""
    lengths = {name: len(values) for name, values in columns.items()}
    if next(iter(columns), None) != 'image' or len(set(lengths.values())) != 1:
        raise RecordError(
            f"{path}: per-image columns need 'image' first and one value per image, got lengths {lengths}."
        )
    return pa.table({name: pa.array(list(values)) for name, values in columns.items()})


def write(columns: pa.Table, path: Path) -> None:
    with open(path, 'wb') as file:
        pq.write_table(columns, file)
