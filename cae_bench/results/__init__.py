"""Records, published numbers, suites and tables. Neither torch nor mmengine is needed to read a result."""

from .compare import compare, explain
from .files import safe_name
from .published import load_published
from .record import Dataset, Metric, Model, Record, fingerprint
from .render import FORMATS, render
from .store import check_writable, find, load_records, path_for, read_per_image, read_record, write_record
from .suites import list_suites, load_suite
from .table import Table, build_table, list_models, list_published

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
    'safe_name',
    'write_record',
]
