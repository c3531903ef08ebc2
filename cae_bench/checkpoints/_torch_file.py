"""What torch.save writes, read by its layout: a zip of one pickle and its storages, or (before 1.6) one after another.

torch.load believes the sizes in the pickle and does not look at the zip's checksums. Here a storage is the bytes that
the zip's directory says it is, and each entry's CRC-32 is compared.
"""

import re
import struct
import sys
import zipfile
import zlib
from io import BytesIO

import torch
from torch import Tensor

from ..errors import CheckpointError
from . import _allowed
from ._tensors import Rebuild, Storage, StorageKind
from ._unpickle import Forged, Unpickler

AGAIN = 'download it again'
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the layout before 1.6
_LOCAL = struct.Struct('<4s22xHH')  # of a zip's local header: signature, lengths of name and extra


class Entries:
    """The entries of a zip that torch.save wrote, all stored and whole.

    Args:
        file: open, seekable.
        data: its bytes, writable: a memory map or a bytearray.
        name: of the file, for messages.

    Attributes:
        is_script: whether it is TorchScript, which holds source text under code/.

    Raises:
        CheckpointError: anything else.
    """

    def __init__(self, file, data, name: str):
        self.view, self.name, self.spans = memoryview(data), name, {}
        infos = self._directory(file)
        self.root = self._root(infos)
        code = f'{self.root}code/'
        self.is_script = any(i.filename.startswith((code, f'{self.root}constants.pkl')) for i in infos)
        infos = [i for i in infos if not i.filename.startswith(code)]  # never looked at
        packed = next((i.filename for i in infos if i.compress_type != zipfile.ZIP_STORED), None)
        if packed:
            raise CheckpointError(
                f'{name} was packed by another program: its entry {packed} is compressed, and PyTorch '
                'stores tensors as they are. Unzip it and pack it again with `zip -0 -r`, or take the '
                'original file.'
            )
        if any(i.flag_bits & 1 for i in infos):
            raise CheckpointError(f'{name} is an encrypted zip, not what torch.save writes.')
        if sum(i.file_size for i in infos) > len(self.view):
            raise CheckpointError(f'{name} was not loaded: its zip directory names more bytes than the file has.')
        for info in infos:
            self.spans[info.filename] = self._span(info)
        if len(self.spans) != len(infos):
            raise CheckpointError(f'{name} was not loaded: its zip has two entries of one name.')
        self.has_checksums = any(i.CRC for i in infos)
        for info in infos if self.has_checksums else ():
            if zlib.crc32(self[info.filename]) != info.CRC:
                raise CheckpointError(
                    f'{name} is damaged: its entry {info.filename} does not have the checksum (CRC-32) '
                    'it was written with. Copy or download the file again.'
                )

    def __getitem__(self, entry: str) -> memoryview:
        start, size = self.spans[entry]
        return self.view[start : start + size]

    def __contains__(self, entry: str) -> bool:
        return entry in self.spans

    def _directory(self, file) -> list[zipfile.ZipInfo]:
        try:
            with zipfile.ZipFile(file) as archive:
                return archive.infolist()
        except Exception:  # zipfile raises half a dozen kinds for a broken directory
            raise CheckpointError(
                f'{self.name} is truncated or damaged (its zip directory is missing or broken): {AGAIN}.'
            ) from None

    def _span(self, info: zipfile.ZipInfo) -> tuple[int, int]:
        """(first byte, bytes) of the entry's content, behind its local header."""
        start, size = info.header_offset, info.file_size
        header = self.view[start : start + _LOCAL.size] if start >= 0 else b''
        if len(header) == _LOCAL.size:
            signature, name_length, extra_length = _LOCAL.unpack(header)
            start += _LOCAL.size + name_length + extra_length
            if signature == b'PK\x03\x04' and info.compress_size == size and start + size <= len(self.view):
                return start, size
        raise CheckpointError(f'{self.name} is truncated or damaged (its entry {info.filename} lies outside): {AGAIN}.')

    def _root(self, infos: list[zipfile.ZipInfo]) -> str:
        """The folder in the zip that all entries lie in, with its slash."""
        found = [i.filename for i in infos if re.fullmatch(r'[^/]+/data\.pkl', i.filename)]
        if len(found) != 1:
            raise CheckpointError(
                f'{self.name} is not a checkpoint: a zip without the data.pkl that torch.save writes.'
            )
        return found[0].removesuffix('data.pkl')


def read_zip(entries: Entries, move, reader=Unpickler, states=None):
    """The object in a zip.

    Args:
        move: function(bytes of a storage, its device in the file) -> where they are to lie.
        reader, states: an unpickler of more classes, and how their instances take their state.
    """
    root, rebuild, stored = entries.root, Rebuild(), {}
    swapped = f'{root}byteorder' in entries and bytes(entries[f'{root}byteorder']).decode('latin1') != sys.byteorder

    def storage(pid) -> Storage:
        kind, key, location, size = _checked(pid, 5)[:4]
        entry = f'{root}data/{key}'
        if entry not in entries:
            raise Forged(f'names the storage {key[:40]}, which the file does not have')
        if len(entries[entry]) != size:
            raise Forged(f'names {size} bytes of the storage {key[:40]}, which has {len(entries[entry])}')
        if key not in stored:
            values = _bytes(entries[entry])
            stored[key] = move(_swapped(values, kind.dtype) if swapped else values, location)
        return Storage(stored[key], kind.dtype)

    pickled = BytesIO(entries[f'{root}data.pkl'])
    content = _load(reader, pickled, rebuild, storage, states)
    rebuild.finish()
    return content


def read_legacy(file, size: int, move, reader=Unpickler, states=None):
    """The object in a file of the old layout, `size` bytes in all; None where it is no such file."""
    if _load(Unpickler, file) != MAGIC:
        return None
    if _load(Unpickler, file) != PROTOCOL or not isinstance(system := _load(Unpickler, file), dict):
        raise Forged('is of an unknown version of the old layout')
    if system.get('little_endian', True) != (sys.byteorder == 'little'):
        raise Forged('was written on a machine of the other byte order: load and save it there')
    stored, left, rebuild = {}, size, Rebuild()

    def storage(pid):
        if type(pid) is tuple and len(pid) > 1 and type(pid[0]) is str and pid[0] == 'module':
            return pid[1]  # a class with its source text, in pickles of whole modules
        kind, key, location, count, (part,) = _checked(pid, 6)
        if key not in stored:
            nonlocal left
            left -= count
            if left < 0:
                raise EOFError('its storages need more bytes than the file has')
            stored[key] = move(torch.empty(count, dtype=torch.uint8), location), kind.dtype
        values = stored[key][0]
        if len(values) != count or stored[key][1] != kind.dtype:
            raise Forged(f'names the storage {key[:40]} twice, with two sizes')
        if part is None:
            return Storage(values, kind.dtype)
        view, start, length = part if type(part) is tuple and len(part) == 3 else (None, -1, -1)
        item = kind.dtype.itemsize
        if (
            type(start) is not int
            or type(length) is not int
            or min(start, length) < 0
            or (start + length) * item > count
        ):
            raise Forged(f'has a part of the storage {key[:40]} that lies outside')
        return Storage(values[start * item : (start + length) * item], kind.dtype)

    content = _load(reader, file, rebuild, storage, states)
    keys = _load(Unpickler, file)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(stored):
        raise EOFError
    for key in keys:
        values, dtype = stored[key]
        head = file.read(8)
        if len(head) != 8 or int.from_bytes(head, 'little') * dtype.itemsize != len(values):
            raise EOFError
        block = bytearray(file.read(len(values)))
        if len(block) != len(values):
            raise EOFError
        values.copy_(_bytes(memoryview(block)))
    rebuild.finish()
    return content


def _load(reader, file, rebuild: Rebuild | None = None, storage=None, states=None):
    known = {**_allowed.names(), **(rebuild.names if rebuild else {})}
    return reader(file, known, {**_allowed.states(), **(states or {})}, storage).load()


def _checked(pid, length: int) -> tuple[StorageKind, str, str, int, list[object]]:
    """(kind, key, device, bytes, the rest) of a persistent id ('storage', kind, key, device, number of values, ...)."""
    if type(pid) is not tuple or len(pid) != length or pid[0] != 'storage' or type(pid[1]) is not StorageKind:
        raise Forged('names a storage in an unknown way')
    _, kind, key, location, count, *rest = pid
    if type(key) is not str or type(location) is not str or type(count) is not int or not 0 <= count < 2**60:
        raise Forged('names a storage in an unknown way')
    return kind, key, location, count * kind.dtype.itemsize, rest


def _bytes(view: memoryview) -> Tensor:
    """(n,) uint8 over the same memory; a copy where it is not aligned as numbers must be."""
    values = torch.frombuffer(view, dtype=torch.uint8) if len(view) else torch.empty(0, dtype=torch.uint8)
    return values if values.data_ptr() % 16 == 0 else values.clone()


def _swapped(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The same numbers in this machine's byte order."""
    part = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
    return values.view(-1, part).flip(1).flatten()
