"""Reads .pth, .pt, .bin, .pkl and .safetensors without ever running what is in them.

Pickles go through the unpickler of `_unpickle.py` with the names of `_allowed.py`. What it refuses stays refused: there
is no second try with a full unpickler, and nothing of the file reaches torch or NumPy unchecked.
"""

import hashlib
import io
import mmap as memory_map
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ..errors import CheckpointError
from ._torch_file import Entries, read_legacy, read_zip
from ._unpickle import Forged, Name, NotAllowed, Unpickler

__all__ = ['Name', 'Unpickler', 'has_checksums', 'is_script', 'opened', 'read', 'sha256']

# As torch.load takes it: where storages go, by their device in the file.
MapLocation = (
    str | torch.device | dict[str, str] | Callable[[torch.UntypedStorage, str], torch.UntypedStorage | None] | None
)
SAVE = 'save the weights alone: torch.save(model.state_dict(), FILE) or safetensors'
REMEDY = f'If you trust its author, load it where running it does no harm and {SAVE}.'
ZIP, PICKLE = b'PK\x03\x04', b'\x80'  # first bytes; every binary pickle starts like this
KINDS = {
    stat.S_ISDIR: 'a folder',
    stat.S_ISFIFO: 'a pipe (FIFO)',
    stat.S_ISSOCK: 'a socket',
    stat.S_ISCHR: 'a device',
    stat.S_ISBLK: 'a device',
}


def read(
    source: str | Path | IO[bytes],
    map_location: MapLocation = 'cpu',
    mmap: bool = False,
    reader: type[Unpickler] = Unpickler,
    states: dict[type, Callable] | None = None,
):
    """The object a checkpoint file holds; CheckpointError names what is wrong with a file that is none.

    Args:
        map_location: as in torch.load.
        mmap: tensors stay on disk until they are used (new-style .pth only); they are gone once the file is rewritten.
        reader, states: an unpickler of more classes, and how their instances take their state. Only such a one is
            shown the pickle of a TorchScript archive.
    """
    name = str(source) if isinstance(source, (str, Path)) else 'the downloaded checkpoint'
    with opened(source) as file:
        head = _head(file, name)
        if _is_safetensors(name, head):
            return _read_safetensors(source, name)
        try:
            if head.startswith(ZIP):
                content = _read_zip(file, name, _mover(map_location, keep=mmap), reader, states)
            else:
                content = read_legacy(file, _size(file), _mover(map_location, keep=True), reader, states)
        except (CheckpointError, MemoryError):
            raise
        except Exception as error:  # a damaged pickle raises a dozen kinds; every one means: not read
            raise CheckpointError(_reason(name, head, error)) from None
    if content is None:
        raise CheckpointError(_not_by_torch(name, head))
    return content


def has_checksums(path: str | Path) -> bool:
    """Whether a torch.save zip was written with the CRC-32 of its entries, as it is by default."""
    with opened(path) as file:
        if file.read(4) != ZIP:
            return True
        with zipfile.ZipFile(file) as archive:
            return any(entry.CRC for entry in archive.infolist())


def sha256(path: str | Path) -> str:
    """Hash of the whole file, in blocks."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def opened(source: str | Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """A regular file, open for reading, or the stream itself; CheckpointError says what else is there."""
    if not isinstance(source, (str, Path)):
        source.seek(0)
        yield source
        return
    try:
        kind = os.stat(source).st_mode  # before it is opened: opening a pipe waits for its writer
        found = next((what for is_kind, what in KINDS.items() if is_kind(kind)), None)
        file = None if found else open(source, 'rb')  # noqa: SIM115  handed on to the caller, who closes it
    except FileNotFoundError:
        raise CheckpointError(f'{source}: no such file. Check the path, or use random:vit-tiny or timm:NAME.') from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{source} cannot be read: {getattr(error, "strerror", None) or error}.') from None
    if found == 'a folder':
        raise CheckpointError(
            f'{source} is a folder, not a checkpoint file: name the file inside it, or watch the folder '
            'with run --watch.'
        )
    if found:
        raise CheckpointError(f'{source} is {found}, not a checkpoint file: only regular files are read.')
    assert file is not None  # else `found` says what is there
    with file:
        yield file


def _head(file: IO[bytes], name: str) -> bytes:
    """The first bytes; empty and obviously foreign files end here. Leaves the file at its start."""
    head = file.read(512)
    file.seek(0)
    if not head:
        raise CheckpointError(f'{name} is empty: download it again.')
    text = head.lstrip().lower()
    if text.startswith(b'version https://git-lfs'):
        raise CheckpointError(f'{name} is a Git LFS pointer, not the weights: run `git lfs pull` where it came from.')
    if text.startswith((b'<!doctype', b'<html', b'<?xml')):
        raise CheckpointError(
            f'{name} is a web page saved under this name, not a checkpoint: download the file itself.'
        )
    return head


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _entries(file: IO[bytes], name: str) -> Entries:
    """The entries of an open zip; tensors over them lie on disk where it is a file."""
    try:
        data = memory_map.mmap(file.fileno(), 0, access=memory_map.ACCESS_COPY)  # writing to it changes no file
    except (OSError, io.UnsupportedOperation):  # a stream, or a file system without maps
        file.seek(0)
        data = bytearray(file.read())
    return Entries(file, data, name)


def is_script(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive."""
    with opened(path) as file:
        return file.read(4) == ZIP and _entries(file, str(path)).is_script


def _read_zip(file: IO[bytes], name: str, move, reader: type[Unpickler], states):
    entries = _entries(file, name)
    if entries.is_script and reader is Unpickler:
        raise CheckpointError(f'{name} is a TorchScript archive, which holds code. {REMEDY}')
    return read_zip(entries, move, reader, states)


def _mover(map_location: MapLocation, keep: bool):
    """function(bytes of a storage, its device in the file) -> where map_location puts them; a copy unless `keep`."""

    def move(values: Tensor, location: str) -> Tensor:
        target = map_location if isinstance(map_location, (str, torch.device)) else location
        if isinstance(map_location, dict):
            target = map_location.get(location, location)
        if callable(map_location):
            moved = map_location(values.untyped_storage(), location)
            if moved is not None:
                return torch.empty(0, dtype=torch.uint8, device=moved.device).set_(moved)
        target = torch.device(target)
        if target.type != 'cpu':
            return values.to(target)
        return values if keep else values.clone()

    return move


def _is_safetensors(name: str, head: bytes) -> bool:
    return name.endswith('.safetensors') or (len(head) > 8 and head[8:9] == b'{' and head[6:8] == b'\0\0')


def _read_safetensors(source, name: str):
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        return load_file(source) if isinstance(source, (str, Path)) else load(source.read())
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f'{name} is no whole safetensors file ({error}): download it again.') from None


# ---- one or two lines a user can act on -------------------------------------------------------------------------


def _reason(name: str, head: bytes, error: Exception) -> str:
    if isinstance(error, NotAllowed):
        return f'{name} was not loaded: its pickle asks for {error}, which could run code. {REMEDY}'
    if isinstance(error, Forged):
        return f'{name} was not loaded: its pickle {error}. Take the original file, or {SAVE}.'
    if head.startswith(ZIP):
        return f'{name} is not a checkpoint: its pickle is damaged ({_first_line(error)}): download it again.'
    if head.startswith(PICKLE):
        return f'{name} is a truncated pickle or not by torch.save: download it again or save it with torch.save.'
    return f'{name} is not a checkpoint that PyTorch or safetensors can read (unknown format).'


def _not_by_torch(name: str, head: bytes) -> str:
    if name.endswith('.pdparams'):
        return f'{name} is a Paddle file, which is not supported: convert it to PyTorch, Linear weights transposed.'
    if head.startswith(PICKLE):
        return (
            f'{name} is a pickle of protocol {head[1]} that torch.save did not write: load it where it was made and '
            'save its weights with torch.save.'
        )
    return f'{name} is not a checkpoint that PyTorch or safetensors can read (unknown format).'


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
