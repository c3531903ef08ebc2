"""A table as text: markdown, csv, json, latex, html, and `text` for a terminal.

Names of models, metrics and sources are anybody's: every format shows their control characters instead of obeying them.
"""

from collections.abc import Callable

from ..errors import ConfigError, nearest
from .data_tables import to_csv, to_json
from .table import Table
from .text_tables import markdown, text
from .typeset_tables import html, latex

FORMATS: dict[str, Callable[[Table], str]] = {
    'markdown': markdown,
    'csv': to_csv,
    'latex': latex,
    'html': html,
    'json': to_json,
    'text': text,
}


def render(table: Table, format: str = 'markdown') -> str:
    """The table as text without a final newline; raises ConfigError for an unknown format."""
    if format not in FORMATS:
        raise ConfigError(f'no table format named {format!r}.{nearest(format, FORMATS)}')
    return FORMATS[format](table)
