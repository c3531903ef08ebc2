"""Records, published numbers, suites and tables. Neither torch nor mmengine is needed to read a result."""

import importlib
from typing import TYPE_CHECKING

from .files import distinct_name
from .published import load_published
from .record import Dataset, Metric, Model, Record
from .render import FORMATS, render
from .stable_hash import fingerprint
from .store import check_writable, find, load_records, path_for, read_record
from .suites import list_suites, load_suite
from .table import Table, build_table, list_models, list_published

if TYPE_CHECKING:
    from .comparison import compare, explain
    from .per_image_file import read_per_image
    from .writing import write_record

# NumPy, pyarrow and jsonschema are imported when one of these is asked for: a table needs none of them.
_LAZY = {
    'compare': 'comparison',
    'explain': 'comparison',
    'read_per_image': 'per_image_file',
    'write_record': 'writing',
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_LAZY[name]}', __name__), name)


__all__ = [
    'Dataset',
    'FORMATS',
    'Metric',
    'Model',
    'Record',
    'Table',
    'build_table',
    'check_writable',
    'compare',
    'distinct_name',
    'explain',
    'find',
    'fingerprint',
    'list_models',
    'list_published',
    'list_suites',
    'load_published',
    'load_records',
    'load_suite',
    'path_for',
    'read_per_image',
    'read_record',
    'render',
    'write_record',
]
