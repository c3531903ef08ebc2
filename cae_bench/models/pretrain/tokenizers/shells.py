"""Reads tensors out of files that pickle whole modules, without running any of their code.

Classes that such a file names become empty shells; only tensors and plain containers are real. Everything else that a
pickle could ask for is refused.
"""
import collections
import pickle
import types
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from ....errors import CheckpointError

REAL = {('collections', 'OrderedDict'): collections.OrderedDict, ('__builtin__', 'set'): set, ('builtins', 'set'): set,
        ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
        ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
        ('torch', 'device'): torch.device, ('torch', 'Size'): torch.Size}
# Modules whose classes and functions are stood for by shells: what a pickled network is made of.
SHELLED = ('dall_e.', 'torch.nn.modules.', 'torch.nn.functional', '__torch__', 'torch.jit._pickle')
DTYPES = {
    'FloatStorage': torch.float32, 'HalfStorage': torch.float16, 'BFloat16Storage': torch.bfloat16,
    'DoubleStorage': torch.float64, 'LongStorage': torch.int64, 'IntStorage': torch.int32, 'BoolStorage': torch.bool
}


class Shell:
    """Stands for an instance of a class that is not installed; holds its attributes, does nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return Shell()

    def __setstate__(self, state) -> None:
        for part in state if isinstance(state, tuple) else (state, ):        # (dict, slots)
            if isinstance(part, dict):
                self.__dict__.update(part)


class ShellUnpickler(pickle.Unpickler):
    """Knows tensors, containers and shells."""

    def find_class(self, module: str, name: str):
        if (module, name) in REAL:
            return REAL[module, name]
        if module == 'torch' and name in DTYPES:
            return getattr(torch, name)
        if module in (
                'functools', ) and name == 'partial' or f'{module}.'.startswith(SHELLED) or module.startswith(SHELLED):
            return Shell
        raise pickle.UnpicklingError(f'asks for {module}.{name}')


def read_module(path: str | Path) -> dict[str, Tensor]:
    """State dict of a pickled module or of a TorchScript archive; CheckpointError for anything else."""
    path = Path(path)
    module = types.SimpleNamespace(__name__='shells', Unpickler=ShellUnpickler, load=_load)
    try:
        if _is_script(path):
            root = _read_script(path)
        else:
            root = torch.load(path, map_location='cpu', pickle_module=module, weights_only=False)
    except (pickle.UnpicklingError, EOFError, RuntimeError, AttributeError, TypeError, KeyError, ValueError,
            OSError) as error:
        raise CheckpointError(
            f'{path} was not read: it is no pickled module of plain layers ({str(error).splitlines()[0][:200]}). '
            'Download the official file again, or pass its weights as .safetensors.') from None
    found = dict(_tensors(root))
    if not found:
        raise CheckpointError(f'{path} holds a module without tensors: download the official file again.')
    return found


def tensors_of(content) -> dict[str, Tensor]:
    """The tensors of what a file held; CheckpointError where there are none at its top."""
    entries = content if isinstance(content, dict) else {}
    found = {k: v for k, v in entries.items() if isinstance(v, Tensor)}
    if not found:
        kind = f'a dict of {", ".join(map(str, list(entries)[:4]))}' if entries else f'a {type(content).__name__}'
        raise CheckpointError(f'the file holds {kind}, where tensors by name were expected')
    return found


def _load(file, **kwargs):
    return ShellUnpickler(file, **kwargs).load()


def _is_script(path: Path) -> bool:
    """TorchScript archives hold source text under code/; it is never looked at."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any('/code/' in name or name.endswith('/constants.pkl') for name in archive.namelist())


def _read_script(path: Path):
    with zipfile.ZipFile(path) as archive:
        index = next(n for n in archive.namelist() if n.endswith('/data.pkl'))
        folder = index.removesuffix('data.pkl') + 'data/'

        class FromArchive(ShellUnpickler):
            def persistent_load(self, saved):
                _, storage, key, _, _ = saved
                dtype = DTYPES[storage.__name__]
                values = torch.frombuffer(bytearray(archive.read(folder + key)), dtype=dtype)
                return torch.storage.TypedStorage(wrap_storage=values.untyped_storage(), dtype=dtype, _internal=True)

        with archive.open(index) as file:
            return FromArchive(file).load()


def _tensors(node, prefix: str = ''):
    """(name, tensor) below a shell: eager modules keep them in _parameters, _modules, scripted ones as attributes."""
    for name, value in vars(node).items():
        if name in ('_parameters', '_modules', '_buffers'):
            for key, part in (value or {}).items():
                yield from _one(key, part, prefix)
        else:
            yield from _one(name, value, prefix)


def _one(name: str, value, prefix: str):
    if isinstance(value, Tensor):
        yield prefix + name, value.detach()
    elif isinstance(value, Shell):
        yield from _tensors(value, f'{prefix}{name}.')
