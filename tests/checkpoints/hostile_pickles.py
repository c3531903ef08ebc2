"""Writes pickles that no honest program writes, opcode by opcode, and puts them into the layouts of torch.save."""

import pickle
import struct
import zipfile
from dataclasses import dataclass, field


@dataclass
class Global:
    """A class or function by name."""

    path: str


@dataclass
class Call:
    """function(*args), then, with `state`, the state that is given to its result. new: by NEWOBJ instead of REDUCE."""

    function: object
    args: object = ()
    state: object = None
    new: bool = False


@dataclass
class Storage:
    """The persistent id of a tensor's storage."""

    kind: str = 'torch.FloatStorage'
    key: object = '0'
    count: object = 1
    more: tuple = field(default=())


def dumps(content, protocol: int = 2) -> bytes:
    return bytes([0x80, protocol]) + _emit(content) + b'.'


def _emit(x) -> bytes:
    if isinstance(x, Global):
        module, _, name = x.path.rpartition('.')
        return f'c{module}\n{name}\n'.encode()
    if isinstance(x, Call):
        function = Global(x.function) if isinstance(x.function, str) else x.function
        call = _emit(function) + _emit(x.args) + (pickle.NEWOBJ if x.new else pickle.REDUCE)
        return call if x.state is None else call + _emit(x.state) + pickle.BUILD
    if isinstance(x, Storage):
        return _emit(('storage', Global(x.kind), x.key, 'cpu', x.count, *x.more)) + pickle.BINPERSID
    if type(x) is bytes:  # as protocol 2 writes them
        return _emit(Call('_codecs.encode', (x.decode('latin1'), 'latin1')))
    if type(x) is tuple:
        return b'(' + b''.join(map(_emit, x)) + b't'
    if type(x) is list:
        return b'](' + b''.join(map(_emit, x)) + b'e'
    if type(x) is dict:
        return b'}(' + b''.join(_emit(k) + _emit(v) for k, v in x.items()) + b'u'
    return pickle.dumps(x, 2)[2:-1]  # numbers, text, None


def archive(
    content, path, storages: dict[str, bytes] | None = None, pickled: bytes | None = None, **zip_options
) -> None:
    """A zip in the layout of torch.save."""
    with zipfile.ZipFile(path, 'w', **zip_options) as out:
        out.writestr('archive/data.pkl', dumps(content) if pickled is None else pickled)
        out.writestr('archive/byteorder', 'little')
        for key, data in (storages or {}).items():
            out.writestr(f'archive/data/{key}', data)
        out.writestr('archive/version', '3\n')


def legacy(content, path) -> None:
    """The layout before PyTorch 1.6, without storages."""
    head = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True})]
    path.write_bytes(b''.join(head) + dumps(content) + pickle.dumps([], 2))


def dtype(code: str = 'f4', *state):
    return Call('numpy.dtype', (code, False, True), state or (3, '<', None, None, None, -1, -1, 0))


def array(shape, kind, data, version=1):
    return Call(
        'numpy.core.multiarray._reconstruct', (Global('numpy.ndarray'), (0,), b'b'), (version, shape, kind, False, data)
    )


def tensor(storage=None, offset=0, shape=(1,), stride=(1,), *more):
    return Call(
        'torch._utils._rebuild_tensor_v2',
        (storage or Storage(), offset, shape, stride, False, Call('collections.OrderedDict'), *more),
    )


def floats(*values: float) -> bytes:
    return struct.pack(f'<{len(values)}f', *values)
