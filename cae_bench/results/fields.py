"""The fields of a JSON object, read one by one: each checked, each error naming the file and the field."""

import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

from ..errors import RecordError

LONGEST = 160  # characters of an error: a damaged field may hold megabytes


class Fields:
    """One object of a record.

    Args:
        value: what stands where the object should.
        source: the file it was read from, or what it is the record of.
        name: dotted, of the object in its record; '' for the record itself.

    Raises:
        RecordError: here and in all methods, for a value that is not what it must be.
    """

    def __init__(self, value: object, source: Path | str, name: str = ''):
        self.source = source
        self.name = name
        if not isinstance(value, dict):
            self.refuse('', f"{shown(value)} is not of type 'object'")
        self.values: dict[str, Any] = value

    def expect(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """These fields and no others."""
        for name in required:
            if name not in self.values:
                self.refuse('', f'{name!r} is a required property')
        unexpected = [name for name in self.values if name not in required and name not in optional]
        if unexpected:
            names, verb = ', '.join(map(repr, unexpected)), 'was' if len(unexpected) == 1 else 'were'
            self.refuse('', f'Additional properties are not allowed ({names} {verb} unexpected)')

    def text(self, name: str, pattern: str | None = None, filled: bool = False) -> str:
        value = self.values[name]
        if not isinstance(value, str):
            self._refuse_type(name, 'string')
        if filled and not value:
            self.refuse(name, f'{shown(value)} should be non-empty')
        if pattern is not None and not re.search(pattern, value):
            self.refuse(name, f'{shown(value)} does not match {pattern!r}')
        return value

    def text_or_none(self, name: str, pattern: str | None = None) -> str | None:
        return None if self.values[name] is None else self.text(name, pattern)

    def one_of(self, name: str, known: Collection[str]) -> str:
        if self.values[name] not in known:
            self.refuse(name, f'{shown(self.values[name])} is not one of {list(known)}')
        return self.values[name]

    def constant(self, name: str, value: str) -> None:
        if self.values[name] != value:
            self.refuse(name, f'{value!r} was expected')

    def boolean(self, name: str) -> bool:
        if not isinstance(self.values[name], bool):
            self._refuse_type(name, 'boolean')
        return self.values[name]

    def boolean_or_none(self, name: str) -> bool | None:
        return None if self.values[name] is None else self.boolean(name)

    def integer(self, name: str, least: int = 0, most: float = math.inf) -> int:
        value = self.values[name]
        is_whole = isinstance(value, int) or isinstance(value, float) and value.is_integer()  # JSON's 2.0 is one
        if isinstance(value, bool) or not is_whole:
            self._refuse_type(name, 'integer')
        self._bound(name, value, least, most)
        return int(value)

    def integer_or_none(self, name: str, least: int = 0) -> int | None:
        return None if self.values[name] is None else self.integer(name, least)

    def number(self, name: str, least: float = -math.inf, most: float = math.inf) -> float:
        value = self.values[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse_type(name, 'number')
        self._bound(name, value, least, most)
        return value

    def number_or_none(self, name: str, least: float = -math.inf, most: float = math.inf) -> float | None:
        return None if self.values[name] is None else self.number(name, least, most)

    def pair(self, name: str, least: float = -math.inf, most: float = math.inf) -> tuple[float, float]:
        """A list of two numbers."""
        values = self.values[name]
        if not isinstance(values, list):
            self._refuse_type(name, 'array')
        if len(values) != 2:
            self.refuse(name, f'{shown(values)} is too {"long" if len(values) > 2 else "short"}')
        items = Fields({'0': values[0], '1': values[1]}, self.source, self._full(name))
        return items.number('0', least, most), items.number('1', least, most)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object of any content."""
        if not isinstance(self.values[name], dict):
            self._refuse_type(name, 'object')
        return self.values[name]

    def mapping_or_none(self, name: str) -> dict[str, Any] | None:
        return None if self.values[name] is None else self.mapping(name)

    def mapping_or_text(self, name: str) -> dict[str, Any] | str:
        if isinstance(self.values[name], str):
            return self.values[name]
        return self.mapping(name)

    def inside(self, name: str) -> 'Fields':
        """The fields of an object in this one."""
        return Fields(self.values[name], self.source, self._full(name))

    def _bound(self, name: str, value: float, least: float, most: float) -> None:
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse(name, f'{value} is no finite number')
        if value < least:
            self.refuse(name, f'{shown(value)} is less than the minimum of {least!r}')
        if value > most:
            self.refuse(name, f'{shown(value)} is greater than the maximum of {most!r}')

    def refuse(self, name: str, what: str) -> NoReturn:
        """Raises RecordError for a field of this object; '' is the object itself."""
        full = self._full(name) or 'the whole record'
        if len(what) >= LONGEST:
            what = f'{what[:90]}...{what[-67:]}'
        from_file = isinstance(self.source, Path)
        remedy = 'Delete the file and run the task again.' if from_file else 'Fix the code that made the record.'
        raise RecordError(f'{self.source}: field {full}: {what}. {remedy}')

    def _refuse_type(self, name: str, kind: str) -> NoReturn:
        self.refuse(name, f'{shown(self.values[name])} is not of type {kind!r}')

    def _full(self, name: str) -> str:
        return '.'.join(part for part in (self.name, name) if part)


def shown(value: object) -> str:
    """The value as in Python, of whatever depth."""
    try:
        return repr(value)
    except RecursionError:
        return 'a deeply nested value'
