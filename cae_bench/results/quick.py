"""A fast yes or no for the JSON schema words that schema.py uses: 1,000 records must read within a second.

jsonschema stays the judge that explains: it is asked when the answer here is no. A test holds the two together.
"""

import re
from collections.abc import Callable

_TYPES = {
    'object': dict,
    'array': list,
    'string': str,
    'null': type(None),
    'boolean': bool,
    'integer': int,
    'number': (int, float),
}
_KNOWN = {
    '$schema',
    'title',
    'type',
    'properties',
    'required',
    'additionalProperties',
    'items',
    'minItems',
    'maxItems',
    'minimum',
    'maximum',
    'minLength',
    'pattern',
    'enum',
    'const',
    'if',
    'then',
}
Check = Callable[[object], bool]


def compile_schema(schema: dict) -> Check:
    """A predicate for one schema; raises ValueError for a word it does not know."""
    if unknown := set(schema) - _KNOWN:
        raise ValueError(f'quick.py knows no schema word {sorted(unknown)}; teach it or leave the word out')
    checks = [check for make in (_type, _allowed, _number, _string, _array, _object, _if) if (check := make(schema))]
    if len(checks) < 2:
        return checks[0] if checks else lambda _: True

    def check_all(value) -> bool:
        for check in checks:  # noqa: SIM110  a loop, for it is half again as fast as all() of a generator
            if not check(value):
                return False
        return True

    return check_all


def _type(schema: dict) -> Check | None:
    names = schema.get('type')
    if names is None:
        return None
    names = [names] if isinstance(names, str) else names
    types = tuple(t for name in names for t in (_TYPES[name] if isinstance(_TYPES[name], tuple) else (_TYPES[name],)))
    booleans = 'boolean' in names  # to Python True is an integer, to JSON it is not
    whole = 'integer' in names and 'number' not in names
    if not booleans and not whole and not {int, float} & set(types):
        return lambda v: isinstance(v, types)
    return lambda v: (
        isinstance(v, types)
        and (booleans or not isinstance(v, bool))
        or whole
        and isinstance(v, float)
        and v.is_integer()
    )


def _allowed(schema: dict) -> Check | None:
    values = [schema['const']] if 'const' in schema else schema.get('enum')
    return None if values is None else lambda v: isinstance(v, str) and v in values


def _number(schema: dict) -> Check | None:
    if not {'minimum', 'maximum'} & set(schema):
        return None
    low, high = schema.get('minimum', float('-inf')), schema.get('maximum', float('inf'))
    return lambda v: not isinstance(v, (int, float)) or isinstance(v, bool) or low <= v <= high


def _string(schema: dict) -> Check | None:
    search, shortest = re.compile(schema.get('pattern', '')).search, schema.get('minLength', 0)
    if not {'pattern', 'minLength'} & set(schema):
        return None
    return lambda v: not isinstance(v, str) or len(v) >= shortest and bool(search(v))


def _array(schema: dict) -> Check | None:
    if not {'items', 'minItems', 'maxItems'} & set(schema):
        return None
    item = compile_schema(schema.get('items', {}))
    low, high = schema.get('minItems', 0), schema.get('maxItems', float('inf'))
    return lambda v: not isinstance(v, list) or low <= len(v) <= high and all(map(item, v))


def _object(schema: dict) -> Check | None:
    if not {'properties', 'required', 'additionalProperties'} & set(schema):
        return None
    known = {name: compile_schema(part) for name, part in schema.get('properties', {}).items()}
    required, more = set(schema.get('required', [])), schema.get('additionalProperties', True)
    other = compile_schema(more) if isinstance(more, dict) else lambda _: more

    def check(value) -> bool:
        if not isinstance(value, dict):
            return True
        if not required <= value.keys():
            return False
        for name, part in value.items():  # noqa: SIM110  likewise
            if not known.get(name, other)(part):
                return False
        return True

    return check


def _if(schema: dict) -> Check | None:
    if 'if' not in schema:
        return None
    applies, then = compile_schema(schema['if']), compile_schema(schema['then'])
    return lambda v: not applies(v) or then(v)
