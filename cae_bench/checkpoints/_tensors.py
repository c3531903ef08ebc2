"""Tensors of a pickle: built over the bytes that are really in the file, never beyond them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._unpickle import Forged, Name

BYTES = torch.uint8
STORAGES = {
    'Double': 'float64',
    'Float': 'float32',
    'Half': 'float16',
    'BFloat16': 'bfloat16',
    'Long': 'int64',
    'Int': 'int32',
    'Short': 'int16',
    'Char': 'int8',
    'Byte': 'uint8',
    'Bool': 'bool',
    'Untyped': 'uint8',
    'ComplexFloat': 'complex64',
    'ComplexDouble': 'complex128',
    'QInt8': 'qint8',
    'QUInt8': 'quint8',
    'QInt32': 'qint32',
    'QUInt4x2': 'quint4x2',
    'QUInt2x4': 'quint2x4',
}


@dataclass(frozen=True, eq=False)
class StorageKind:
    """A storage class by name: what its bytes are."""

    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Storage:
    """values: all bytes of one storage, uint8 (n,)."""

    values: Tensor
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Unreadable:
    """Stands where a file has a tensor that is no dense array of numbers. kind: 'sparse', ..."""

    kind: str
    remedy: str


def size(items=()) -> torch.Size:
    return torch.Size(lengths(items))


def device(kind, index=None) -> torch.device:
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise Forged('names a device by something else than text and number')
    return torch.device(kind, index) if index is not None else torch.device(kind)


def lengths(items) -> tuple[int, ...]:
    """Sizes or strides: a tuple or list of non-negative 64-bit integers."""
    fits = isinstance(items, (tuple, list)) and len(items) <= 64
    if not fits or not all(type(n) is int and 0 <= n < 2**63 for n in items):
        raise Forged('has a tensor whose size or stride is no tuple of non-negative integers')
    return tuple(items)


class Rebuild:
    """The rebuild functions of torch; `finish()` after the last byte was read.

    names: 'module.name' -> Name or value, of everything in torch that a checkpoint may name.
    """

    def __init__(self):
        self.bools, self.names = [], self._names()

    def tensor(self, storage, offset, shape, stride, _requires_grad=False, _hooks=None, metadata=None):
        """torch._utils._rebuild_tensor_v2"""
        return self._dense(storage, offset, shape, stride, getattr(storage, 'dtype', None), metadata)

    def tensor_of(self, storage, offset, shape, stride, _requires_grad, _hooks, dtype, metadata=None):
        """torch._utils._rebuild_tensor_v3: the dtype has no storage class of its own."""
        return self._dense(storage, offset, shape, stride, dtype, metadata)

    def parameter(self, data, _requires_grad=True, _hooks=None, _state=None):
        """torch.nn.Parameter and its rebuild functions: what it holds."""
        if not isinstance(data, (Tensor, Unreadable)):
            raise Forged(f'has a parameter that holds a {type(data).__name__}')
        return data

    def from_type(self, function, cls, arguments, _state=None):
        """torch._tensor._rebuild_from_type_v2: a tensor with Python attributes, which are left out."""
        is_tensor = type(cls) is Name and cls.path in ('torch.Tensor', 'torch.nn.parameter.Parameter')
        is_rebuilt = type(function) is Name and function.path.startswith('torch._utils.')
        if not is_rebuilt or function.make is None or not is_tensor:
            raise Forged('has a tensor of a class of its own')
        return function.make(*arguments)

    def _names(self) -> dict[str, object]:
        names = [
            Name('torch._utils._rebuild_tensor', self.tensor),
            Name('torch._utils._rebuild_tensor_v2', self.tensor),
            Name('torch._utils._rebuild_tensor_v3', self.tensor_of),
            Name('torch._utils._rebuild_parameter', self.parameter),
            Name('torch._utils._rebuild_parameter_with_state', self.parameter),
            Name('torch.nn.parameter.Parameter', self.parameter),
            Name('torch._tensor._rebuild_from_type_v2', self.from_type),
            Name('torch.serialization._get_layout', _layout),
            Name('torch.Size', size),
            Name('torch.device', device),
            Name('torch.Tensor'),
        ]
        names += [
            Name(f'torch._utils.{function}', _unreadable(kind, remedy))
            for function, kind, remedy in (
                ('_rebuild_sparse_tensor', 'sparse', 'tensor.to_dense()'),
                ('_rebuild_qtensor', 'quantised', 'tensor.dequantize()'),
                ('_rebuild_nested_tensor', 'nested', 'its parts one by one'),
                (
                    '_rebuild_meta_tensor_no_storage',
                    'without values (device "meta")',
                    'a model whose weights are loaded',
                ),
                ('_rebuild_wrapper_subclass', 'a wrapper around other tensors', 'the plain tensor'),
            )
        ]
        dtypes = {f'torch.{name}': value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
        kinds = {
            f'{module}.{name}Storage': StorageKind(getattr(torch, dtype))
            for name, dtype in STORAGES.items()
            for module in ('torch', 'torch.cuda', 'torch.storage')
        }
        schemes = {
            str(s): str(s)
            for s in (
                torch.per_tensor_affine,
                torch.per_channel_affine,
                torch.per_tensor_symmetric,
                torch.per_channel_symmetric,
                torch.per_channel_affine_float_qparams,
            )
        }
        return {**{name.path: name for name in names}, **dtypes, **kinds, **schemes}

    def finish(self) -> None:
        """Bytes of a bool that are neither 0 nor 1 send kernels out of bounds."""
        if any(tensor.numel() and tensor.view(BYTES).max() > 1 for tensor in self.bools):
            raise Forged('has a bool tensor with bytes other than 0 and 1')

    def _dense(self, storage, offset, shape, stride, dtype, metadata):
        if type(storage) is not Storage or not isinstance(dtype, torch.dtype) or type(offset) is not int or offset < 0:
            raise Forged('has a tensor without a proper storage')
        shape, stride = lengths(shape), lengths(stride)
        if len(shape) != len(stride):
            raise Forged('has a tensor with more sizes than strides, or fewer')
        flags = [name for name, on in metadata.items() if on] if isinstance(metadata, dict) else []
        if flags or not _is_numeric(dtype):
            return Unreadable(
                f'lazily {" and ".join(map(str, flags))}' if flags else str(dtype).removeprefix('torch.'),
                'tensor.resolve_conj().resolve_neg()' if flags else 'tensor.dequantize()',
            )
        have, count = storage.values.numel() // dtype.itemsize, math.prod(shape)
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride))
        if count and last >= have or offset > have:
            raise Forged(f'has a tensor of shape {shape} that reads beyond the {have} values of its storage')
        if count > have:  # strides of 0: a few bytes would become any amount
            return Unreadable(f'a view of shape {shape} that repeats {have} stored values', 'tensor.contiguous()')
        if not count:
            return torch.empty(shape, dtype=dtype)
        values = storage.values[: have * dtype.itemsize].view(dtype)
        if dtype is torch.bool:
            self.bools.append(values)
        return torch.as_strided(values, shape, stride, offset)


def _unreadable(kind: str, remedy: str):
    return lambda *arguments: Unreadable(kind, remedy)


def _layout(name) -> str:
    return str(name)[:40] if isinstance(name, str) else 'unknown layout'


def _is_numeric(dtype: torch.dtype) -> bool:
    """Whole bytes of numbers: no quantised, sub-byte or packed types, which have other rules for their memory."""
    name = str(dtype).removeprefix('torch.')
    if name in ('bool', 'complex32', 'complex64', 'complex128', 'bfloat16', 'float16', 'float32', 'float64'):
        return True
    return name in ('uint8', 'uint16', 'uint32', 'uint64', 'int8', 'int16', 'int32', 'int64') or name.startswith(
        'float8_'
    )
