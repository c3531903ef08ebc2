"""Reads .pth, .pt, .bin, .pkl and .safetensors without ever running what is in them.

Pickles go through torch's restricted unpickler with the allow-list of `_allowed.py`. What it refuses stays refused:
there is no second try with a full unpickler.
"""
import hashlib
import io
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import IO

import torch

from ..errors import CheckpointError
from ._allowed import allowed_globals

REMEDY = ('If you trust its author, load it where running it does no harm and save the weights alone: '
          'torch.save(model.state_dict(), FILE) or safetensors.')


def read(source: str | Path | IO[bytes], map_location='cpu', mmap: bool = False):
    """The object a checkpoint file holds; CheckpointError names what is wrong with a file that is none.

    mmap: tensors stay on disk until they are used (new-style .pth only); they are gone once the file is rewritten.
    """
    name = str(source) if isinstance(source, (str, Path)) else 'the downloaded checkpoint'
    head = _head(source, name)
    if _is_safetensors(name, head):
        return _read_safetensors(source, name)
    is_zip = head.startswith(b'PK\x03\x04')
    try:
        with torch.serialization.safe_globals(allowed_globals()), warnings.catch_warnings():
            warnings.simplefilter('ignore')                  # about old protocols: they are read or refused below
            path = str(source) if isinstance(source, Path) else source
            return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap and is_zip or None)
    except MemoryError:
        raise
    except Exception as error:           # torch raises a dozen kinds for a bad file; every one means: not read
        raise CheckpointError(_reason(source, name, head, str(error))) from None


def sha256(path: str | Path) -> str:
    """Hash of the whole file, in blocks."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _head(source, name: str) -> bytes:
    """The first bytes; missing, empty and obviously foreign files end here."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.is_dir():
            raise CheckpointError(f'{name} is a folder, not a checkpoint file: name the file inside it, '
                                  'or watch the folder with run --watch.')
        try:
            with open(path, 'rb') as file:
                head = file.read(512)
        except FileNotFoundError:
            raise CheckpointError(f'{name}: no such file. Check the path, or use random:vit-tiny or '
                                  'timm:NAME.') from None
        except OSError as error:
            raise CheckpointError(f'{name} cannot be read: {error.strerror}.') from None
    else:
        head = source.read(512)
        source.seek(0)
    if not head:
        raise CheckpointError(f'{name} is empty: download it again.')
    text = head.lstrip().lower()
    if text.startswith(b'version https://git-lfs'):
        raise CheckpointError(f'{name} is a Git LFS pointer, not the weights: run `git lfs pull` where it came from.')
    if text.startswith((b'<!doctype', b'<html', b'<?xml')):
        raise CheckpointError(f'{name} is a web page saved under this name, not a checkpoint: download the file '
                              'itself.')
    return head


def _is_safetensors(name: str, head: bytes) -> bool:
    return name.endswith('.safetensors') or (len(head) > 8 and head[8:9] == b'{' and head[6:8] == b'\0\0')


def _read_safetensors(source, name: str):
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file
    try:
        return load_file(source) if isinstance(source, (str, Path)) else load(source.read())
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f'{name} is no whole safetensors file ({error}): download it again.') from None


def _reason(source, name: str, head: bytes, error: str) -> str:
    """One or two lines a user can act on, from whatever torch said."""
    is_zip = head.startswith(b'PK\x03\x04')
    if 'TorchScript' in error:
        return f'{name} is a TorchScript archive, which holds code. {REMEDY}'
    refused = _refused(source, is_zip, error)
    if refused:
        return f'{name} was not loaded: its pickle asks for {", ".join(refused)}, which could run code. {REMEDY}'
    if name.endswith('.pdparams'):
        return f'{name} is a Paddle file, which is not supported: convert it to PyTorch, Linear weights transposed.'
    if is_zip and not _whole_zip(source):
        return f'{name} is truncated or damaged (its zip directory is missing or broken): download it again.'
    if not is_zip and head[:1] == b'\x80':                   # every binary pickle starts like this
        return f'{name} is a truncated pickle or not by torch.save: download it again or save it with torch.save.'
    told = error.strip() and not error.startswith('Weights only load failed')     # what follows is about torch 2.6
    why = error.strip().splitlines()[0][:160] if told else 'unknown format'
    return f'{name} is not a checkpoint that PyTorch or safetensors can read ({why}).'


def _refused(source, is_zip: bool, error: str) -> list[str]:
    """Names the restricted unpickler said no to."""
    found = re.search(r'GLOBAL (\S+)', error)
    if found:
        return [found.group(1)]
    if not re.search(r'Unsupported operand|unrecognized function|Can only (create|build)', error):
        return []
    # A pickle in a newer protocol is turned away before its first global: read its opcodes, which runs nothing.
    known = {name for _, name in allowed_globals()} | {'collections.OrderedDict', 'torch._utils._rebuild_tensor_v2'}
    return [g for g in _globals_in(source, is_zip) if g not in known or g == 'builtins.getattr']


def _globals_in(source, is_zip: bool) -> list[str]:
    names, strings = [], []
    try:
        for opcode, argument, _ in pickletools.genops(_pickle_bytes(source, is_zip)):
            if opcode.name in ('GLOBAL', 'INST'):
                names.append(argument.replace(' ', '.'))
            elif opcode.name == 'STACK_GLOBAL':
                names.append('.'.join(strings[-2:]))
            elif isinstance(argument, str):
                strings.append(argument)
    except Exception:                                        # a broken pickle: what was seen so far is what can be said
        pass
    return list(dict.fromkeys(names))


def _pickle_bytes(source, is_zip: bool) -> IO[bytes]:
    if not isinstance(source, (str, Path)):
        source.seek(0)
        source = io.BytesIO(source.read())
    if not is_zip:
        return open(source, 'rb') if isinstance(source, (str, Path)) else source
    with zipfile.ZipFile(source) as archive:
        return io.BytesIO(archive.read(next(n for n in archive.namelist() if n.endswith('data.pkl'))))


def _whole_zip(source) -> bool:
    try:
        with zipfile.ZipFile(source) as archive:
            return archive.testzip() is None
    except Exception:
        return False
