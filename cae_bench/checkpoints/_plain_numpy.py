"""NumPy's arrays, scalars and dtypes in a pickle: numbers and text only, every state checked before NumPy sees it."""

import math
import re

import numpy as np

from ._unpickle import Forged, Name

_CODE = re.compile(r'[<>=|]?(\?|b1|[bhilqBHILQefdgFDG]|[iu][1248]|f(2|4|8|12|16)|c(8|16|24|32)|[SU]\d{1,6})')


class PlainDType:
    """A dtype that is still to get its byte order: a pickle builds it in two steps. dtype: what it is so far."""

    def __init__(self, code, _align=False, _copy=False):
        if type(code) is not str or not _CODE.fullmatch(code):
            raise Forged(f'asks for the NumPy dtype {str(code)[:20]!r}, which is neither number nor text')
        self.dtype = np.dtype(code)

    def set_state(self, state) -> None:
        """Only the state that NumPy itself writes for this dtype; byte order is the one thing it may say."""
        own = self.dtype.__reduce__()[2]
        known = (
            type(state) is tuple and len(state) == len(own) and _same(state[0], own[0]) and state[1] in ('<', '>', '|')
        )
        if not known or not all(map(_same, state[2:], own[2:])) or (state[1] == '|') != (own[1] == '|'):
            raise Forged(f'has a forged state for the NumPy dtype {self.dtype}')
        self.dtype = self.dtype.newbyteorder(state[1])

    def __repr__(self) -> str:
        return str(self.dtype)


ARRAY = Name('numpy.ndarray')  # an argument of _reconstruct, never called


def reconstruct(cls, shape, code) -> np.ndarray:
    """An empty array, which `set_array` fills."""
    if cls is not ARRAY:
        raise Forged('has a NumPy array of a class of its own')
    return np.empty(0, np.uint8)


def set_array(array: np.ndarray, state) -> None:
    """(version, shape, dtype, whether Fortran order, bytes)."""
    if type(state) is not tuple or len(state) != 5:
        raise Forged('has a NumPy array with a forged state')
    _, shape, dtype, fortran, data = state
    shape, dtype, data = _checked(shape, dtype, data)
    # The stub asks for the dtype that the empty array has, and this is where it gets its own.
    array.__setstate__((1, shape, dtype, bool(fortran is True or fortran == 1), data))  # pyright: ignore[reportArgumentType]


def from_buffer(data, dtype, shape, order) -> np.ndarray:
    """numpy._core.numeric._frombuffer, of protocol 5."""
    shape, dtype, data = _checked(shape, dtype, data)
    if order not in ('C', 'F'):
        raise Forged('has a NumPy array in an unknown order')
    return np.ndarray(shape, dtype, data, order=order).copy(order)


def scalar(dtype, data=b'') -> np.generic:
    """One value of its dtype; there is none for objects."""
    _, dtype, data = _checked((), dtype, data)
    value = np.ndarray((), dtype, data)[()] if data else dtype.type()
    assert isinstance(value, np.generic)  # no array: it has no dimension
    return value


def _checked(shape, dtype, data) -> tuple[tuple[int, ...], np.dtype, bytes]:
    if type(dtype) is not PlainDType or not isinstance(data, (bytes, bytearray)):
        raise Forged('has a NumPy array or scalar of objects')
    is_shape = type(shape) is tuple and len(shape) <= 32 and all(type(n) is int and 0 <= n < 2**63 for n in shape)
    if not is_shape or math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise Forged('has a NumPy array or scalar whose shape and dtype do not fit its bytes')
    dtype, data = dtype.dtype, bytes(data)
    if dtype.kind == 'b' and data.translate(None, b'\0\1'):
        raise Forged('has a NumPy bool with bytes other than 0 and 1')
    if (
        dtype.kind == 'U'
        and data
        and np.frombuffer(data, np.dtype('u4').newbyteorder(dtype.byteorder)).max() > 0x10FFFF
    ):
        raise Forged('has NumPy text with characters that do not exist')
    return shape, dtype, data


def _same(a, b) -> bool:
    return type(a) is type(b) and a == b


NAMES = {'numpy.ndarray': ARRAY, 'numpy.dtype': Name('numpy.dtype', PlainDType)}
for _module in ('numpy.core', 'numpy._core'):  # old NumPy wrote the one, new NumPy the other
    NAMES |= {
        f'{_module}.multiarray.scalar': Name('numpy.scalar', scalar),
        f'{_module}.multiarray._reconstruct': Name('numpy._reconstruct', reconstruct),
        f'{_module}.numeric._frombuffer': Name('numpy._frombuffer', from_buffer),
    }
STATES = {PlainDType: PlainDType.set_state, np.ndarray: set_array}
