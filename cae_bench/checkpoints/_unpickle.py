"""An unpickler that calls nothing but checked stand-ins: pickles of every protocol in, plain data out.

Python's own unpickler calls what a file names, and torch's restricted one passes unchecked arguments to NumPy and to
its own rebuild functions. Here a name in a file becomes a `Name`: as a value it is inert, and where the pickle calls it,
the stand-in behind it builds plain data or refuses. No other callable ever lies on the stack.
"""

import argparse
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

MAX_DEPTH = 100  # of nested containers; a state dict in a checkpoint has 4 or 5
# Protocols below 3 use Python 2's names, in the files of Python 3 too.
_PYTHON_2 = {
    '__builtin__.long': 'builtins.int',
    '__builtin__.unicode': 'builtins.str',
    '__builtin__.xrange': 'builtins.range',
}
_KEYS = (str, int, float, bool, bytes, complex, type(None))
_OPCODES = [
    'PROTO',
    'FRAME',
    'STOP',
    'MARK',
    'POP',
    'POP_MARK',
    'DUP',
    'NONE',
    'NEWTRUE',
    'NEWFALSE',
    'INT',
    'BININT',
    'BININT1',
    'BININT2',
    'LONG',
    'LONG1',
    'LONG4',
    'FLOAT',
    'BINFLOAT',
    'STRING',
    'BINSTRING',
    'SHORT_BINSTRING',
    'BINBYTES',
    'SHORT_BINBYTES',
    'BINBYTES8',
    'UNICODE',
    'BINUNICODE',
    'BINUNICODE8',
    'SHORT_BINUNICODE',
    'EMPTY_TUPLE',
    'TUPLE',
    'TUPLE1',
    'TUPLE2',
    'TUPLE3',
    'EMPTY_LIST',
    'LIST',
    'EMPTY_DICT',
    'EMPTY_SET',
    'GET',
    'BINGET',
    'LONG_BINGET',
    'PUT',
    'BINPUT',
    'LONG_BINPUT',
    'MEMOIZE',
    'GLOBAL',
    'STACK_GLOBAL',
    'BINPERSID',
]


class NotAllowed(pickle.UnpicklingError):
    """The file asks for a class or function outside the table; its text is the name."""


class Forged(pickle.UnpicklingError):
    """What the file asks for is never written by an honest program; its text names it."""


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function that a pickle names. make: builds what a call of it stands for; None: never called."""

    path: str
    make: Callable | None = None

    def __repr__(self) -> str:
        return self.path


class Unpickler(pickle._Unpickler):  # the one in Python: its opcodes can be replaced
    """Reads one object.

    Args:
        file: binary, at the pickle's first byte; left behind its last one.
        names: what the pickle may name: 'module.name' -> Name, or a value.
        states: type -> function(instance, state), for instances that a pickle builds in two steps.
        storage: persistent id -> storage of a tensor.

    Raises:
        NotAllowed, Forged: see there. Damaged pickles raise whatever Python raises for them.
    """

    dispatch = {ord(getattr(pickle, name)): pickle._Unpickler.dispatch[ord(getattr(pickle, name))] for name in _OPCODES}

    # What Python's class sets as it reads; its stub knows none of them.
    stack: list
    append: Callable[[object], None]
    pop_mark: Callable[[], list]
    read: Callable[[int], bytes]

    def __init__(self, file, names: Mapping, states: Mapping[type, Callable], storage: Callable | None = None):
        super().__init__(file, encoding='utf-8')
        self.names, self.states, self.storage = names, states, storage

    def load(self):
        try:
            content = super().load()
        except KeyError as error:  # of the dispatch table: an opcode
            if error.args and isinstance(error.args[0], int) and error.args[0] in _known_opcodes():
                raise NotAllowed(f'the opcode {_known_opcodes()[error.args[0]]}') from None
            raise
        _check_depth(content)
        return content

    def find_class(self, module: str, name: str):
        path = f'{module}.{name}'
        path = _PYTHON_2.get(path, path.replace('__builtin__.', 'builtins.'))
        if path not in self.names:
            raise NotAllowed(path)
        return self.names[path]

    def persistent_load(self, pid):
        if self.storage is None:
            raise Forged('names a storage where none can be')
        return self.storage(pid)

    def _call(self) -> None:
        arguments, function = self.stack.pop(), self.stack[-1]
        if type(function) is not Name or function.make is None:
            raise NotAllowed(f'a call of {function!r}' if type(function) is Name else f'a call of a {_kind(function)}')
        if type(arguments) is not tuple:
            raise Forged(f'calls {function} with a {_kind(arguments)}')
        self.stack[-1] = function.make(*arguments)

    def _build(self) -> None:
        state, instance = self.stack.pop(), self.stack[-1]
        build = self.states.get(type(instance))
        if build is None:
            raise NotAllowed(f'the state of a {_kind(instance)}')
        build(instance, state)

    def _append(self) -> None:
        value = self.stack.pop()
        _of_type(self.stack[-1], list).append(value)

    def _appends(self) -> None:
        values = self.pop_mark()
        _of_type(self.stack[-1], list).extend(values)

    def _add_items(self) -> None:
        values = self.pop_mark()
        _of_type(self.stack[-1], set).update(map(key, values))

    def _set_item(self) -> None:
        value, name = self.stack.pop(), self.stack.pop()
        _of_type(self.stack[-1], dict, OrderedDict, Counter)[key(name)] = value

    def _set_items(self) -> None:
        items = self.pop_mark()
        _fill(_of_type(self.stack[-1], dict, OrderedDict, Counter), items)

    def _dict(self) -> None:
        items = self.pop_mark()  # before self.append, which it replaces
        self.append(_fill({}, items))

    def _frozenset(self) -> None:
        items = self.pop_mark()
        self.append(frozenset(map(key, items)))

    def _byte_array(self) -> None:
        size = int.from_bytes(self.read(8), 'little')  # Python's own allocates what the file says, unread
        self.append(bytearray(self.read(size)))


Unpickler.dispatch |= {
    ord(getattr(pickle, opcode)): getattr(Unpickler, function)
    for opcode, function in (
        ('REDUCE', '_call'),
        ('NEWOBJ', '_call'),
        ('BUILD', '_build'),
        ('APPEND', '_append'),
        ('APPENDS', '_appends'),
        ('ADDITEMS', '_add_items'),
        ('SETITEM', '_set_item'),
        ('SETITEMS', '_set_items'),
        ('DICT', '_dict'),
        ('FROZENSET', '_frozenset'),
        ('BYTEARRAY8', '_byte_array'),
    )
}


def key(value):
    """`value` if it can be a key: numbers, text, and tuples of them; hashing deeper ones can exhaust the C stack."""
    scalars = value if type(value) is tuple else (value,)
    for scalar in scalars:
        if type(scalar) not in _KEYS and not isinstance(scalar, np.generic):
            raise Forged(f'has a {_kind(scalar)} as a key')
        if type(scalar) is int and scalar.bit_length() > 64:
            raise Forged('has an integer of more than 64 bits as a key')
    return value


def _fill(container: dict, items: list) -> dict:
    for i in range(0, len(items), 2):
        container[key(items[i])] = items[i + 1]
    return container


def _of_type(container, *types):
    if type(container) not in types:
        raise Forged(f'puts items into a {_kind(container)}')
    return container


def _check_depth(content) -> None:
    """What walks through it afterwards, recursively, must come to an end."""
    level, seen = [content], set()
    for _ in range(MAX_DEPTH):
        level = [part for node in level for part in _parts(node) if id(part) not in seen]
        seen.update(map(id, level))
        if not level:
            return
    raise Forged(f'nests containers more than {MAX_DEPTH} deep')


def _parts(node) -> list:
    """Containers directly in `node`."""
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    parts = vars(node).values() if isinstance(node, argparse.Namespace) else parts
    return [part for part in parts if isinstance(part, (dict, list, tuple, argparse.Namespace))]


def _kind(value) -> str:
    return type(value).__name__


def _known_opcodes() -> dict[int, str]:
    import pickletools

    return {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
