"""JSON of records: readable, and without anything that is no finite number."""

import json
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import RecordError

MOST_DIGITS = 300  # beyond any float: such a number could be neither shown nor averaged


def dumps(data: dict[str, Any], where: Path | str) -> str:
    """The text of a record. Numbers of array libraries become plain ones.

    Raises:
        RecordError: not a number, infinity, or an object that JSON has no form for; it names `where`.
    """
    try:
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError as error:
        raise RecordError(
            f'{where}: a value is not a finite number ({error}), and no table could show it. Nothing was written.'
        ) from error
    except TypeError as error:
        raise RecordError(f'{where}: {error}. Give plain numbers, strings, lists and mappings.') from error


def loads(text: str, path: Path) -> Any:
    """What a file holds; raises RecordError for text that is no JSON or holds a number that no float can hold."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f'{path}: not a readable record ({error}). Delete the file and run the task again.'
        ) from error


def _plain(value: Any) -> Any:
    """Numbers of array libraries say what they are with `item`; nothing else is guessed."""
    if isinstance(value, MappingProxyType):
        return dict(value)
    if hasattr(value, 'item'):
        return value.item()
    raise TypeError(f'{type(value).__name__} cannot be kept in a record')


def _refuse_constant(name: str) -> None:
    raise ValueError(f'{name} is not a number')


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f'{digits[:20]} is no finite number')
    return number


def _bounded(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f'a number of {len(digits)} digits')
    return int(digits)
