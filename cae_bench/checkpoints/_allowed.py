"""The only names a checkpoint's pickle may ask for: plain data that official files really hold, and tensors."""

import argparse
import pathlib
import sys
from collections import Counter, OrderedDict

import numpy as np

from . import _plain_numpy
from ._unpickle import Forged, Name, NotAllowed, key

_BUFFER = 'mmengine.logging.history_buffer'
HISTORY = f'{_BUFFER}.HistoryBuffer'
LATIN = ('latin1', 'latin-1', 'iso-8859-1')  # how protocol 2 writes bytes: as text of this encoding
TYPES = (
    'dict',
    'list',
    'tuple',
    'int',
    'float',
    'str',
    'bool',
    'object',
)  # named in arguments, never called by a pickle


class HistoryBufferShell:
    """Stands for mmengine's HistoryBuffer, a log of losses, where mmengine is not in use."""


def names() -> dict[str, Name]:
    """'module.name' -> stand-in, of everything but tensors."""
    table = {
        'argparse.Namespace': namespace,
        'collections.OrderedDict': ordered_dict,
        'collections.Counter': counter,
        'collections.defaultdict': default_dict,
        'builtins.set': plain_set,
        'builtins.frozenset': frozen_set,
        'builtins.bytes': no_bytes,
        'builtins.bytearray': byte_array,
        '_codecs.encode': encode,
        'builtins.complex': complex_number,
        'builtins.slice': plain_slice,
        'builtins.range': plain_range,
        'builtins.getattr': attribute,
        HISTORY: history_buffer,
    }
    for kind in ('PurePath', 'PurePosixPath', 'PureWindowsPath', 'Path', 'PosixPath', 'WindowsPath'):
        make = windows_path if 'Windows' in kind else posix_path
        table |= {f'{module}.{kind}': make for module in ('pathlib', 'pathlib._local')}
    named = {path: Name(path, make) for path, make in table.items()}
    named |= {f'builtins.{name}': Name(f'builtins.{name}') for name in TYPES}
    named |= {f'{HISTORY}.{name}': Name(f'{HISTORY}.{name}') for name in ('min', 'max', 'mean', 'current')}
    return {**named, **_plain_numpy.NAMES}


def states() -> dict[type, object]:
    """type -> function(instance, state)."""
    return {
        argparse.Namespace: set_namespace,
        OrderedDict: set_metadata,
        HistoryBufferShell: set_history,
        type(history_buffer()): set_history,
        **_plain_numpy.STATES,
    }


# ---- containers, bytes and numbers ------------------------------------------------------------------------------


def namespace() -> argparse.Namespace:
    return argparse.Namespace()


def set_namespace(instance: argparse.Namespace, state) -> None:
    if type(state) is not dict or not all(type(name) is str for name in state):
        raise Forged('has a Namespace with a forged state')
    vars(instance).update(state)


def ordered_dict(pairs=()) -> OrderedDict:
    """Python 2 wrote its items as a list of pairs."""
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
        raise Forged('has an OrderedDict that is no list of pairs')
    return OrderedDict((key(name), value) for name, value in pairs)


def set_metadata(instance: OrderedDict, state) -> None:
    """Attributes of a state dict: torch's own, versions of modules; others are left out."""
    metadata = state.get('_metadata') if isinstance(state, dict) else None
    if isinstance(metadata, dict):
        instance._metadata = metadata  # pyright: ignore[reportAttributeAccessIssue]  torch hangs it on an OrderedDict


def counter(counts=None) -> Counter:
    return Counter(_of(dict, {} if counts is None else counts))


def default_dict(*_factory) -> OrderedDict:
    """A file has no use for its factory."""
    return OrderedDict()


def plain_set(items=()) -> set:
    return set(map(key, _of((list, tuple), items)))


def frozen_set(items=()) -> frozenset:
    return frozenset(plain_set(items))


def no_bytes() -> bytes:
    """Protocol 2 writes empty bytes as a call without arguments."""
    return b''


def byte_array(content=b'', encoding='latin1') -> bytearray:
    return bytearray(encode(content, encoding) if isinstance(content, str) else _of(bytes, content))


def encode(text, encoding='latin1') -> bytes:
    if type(text) is not str or encoding not in LATIN:
        raise Forged('has bytes in an unknown encoding')
    return text.encode('latin1')


def complex_number(real=0.0, imaginary=0.0) -> complex:
    return complex(_of((int, float), real), _of((int, float), imaginary))


def plain_slice(*bounds) -> slice:
    return slice(*(_of((int, type(None)), b) for b in bounds))


def plain_range(*bounds) -> range:
    return range(*(_of(int, b) for b in bounds))


def posix_path(*parts) -> pathlib.PurePosixPath:
    return pathlib.PurePosixPath(*(_of(str, part) for part in parts))


def windows_path(*parts) -> pathlib.PureWindowsPath:
    return pathlib.PureWindowsPath(*(_of(str, part) for part in parts))


# ---- mmengine's logs --------------------------------------------------------------------------------------------


def history_buffer():
    return getattr(sys.modules.get(_BUFFER), 'HistoryBuffer', HistoryBufferShell)()


def set_history(instance, state) -> None:
    """The two arrays and the length; its statistics are methods of the class, whatever the file says."""
    state = _of(dict, state)
    arrays = {name: state.get(name) for name in ('_log_history', '_count_history')}
    numbers = all(isinstance(a, np.ndarray) and a.ndim == 1 and a.dtype.kind in 'biuf' for a in arrays.values())
    length = state.get('max_length', 1000000)
    if not numbers or len({len(a) for a in arrays.values()}) != 1 or type(length) is not int:
        raise Forged('has a HistoryBuffer with a forged state')
    vars(instance).update(arrays, max_length=length)


def attribute(owner, name='') -> Name:
    """mmengine pickles HistoryBuffer's methods through getattr; nothing else may be named that way."""
    if type(owner) is not Name or owner.path != HISTORY or type(name) is not str or name.startswith('_'):
        raise NotAllowed(f'builtins.getattr({owner!r}, {str(name)[:40]!r})'[:120])
    return Name(f'{HISTORY}.{name}')


def _of(types, value):
    """`value`, if it is of one of these types and no subclass."""
    types = types if isinstance(types, tuple) else (types,)
    if type(value) not in types:
        raise Forged(f'has a {type(value).__name__} where a {types[0].__name__} belongs')
    return value
