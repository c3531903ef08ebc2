"""Reads tensors out of files that pickle whole modules, without running any of their code.

Classes that such a file names become empty shells; only tensors and plain containers are real. Everything else that a
pickle could ask for is refused.
"""

from pathlib import Path

from torch import Tensor

from ...checkpoints import safe_load
from ...checkpoints.values import Unreadable, check_dense
from ...errors import CheckpointError

# Modules whose classes and functions are stood for by shells: what a pickled network is made of.
SHELLED = ('dall_e.', 'torch.nn.modules.', 'torch.nn.functional.', '__torch__.', 'torch.jit._pickle.')
MAX_DEPTH = 50  # of modules in modules


class Shell:
    """Stands for an instance of a class that is not installed; holds its attributes, does nothing."""

    def set_state(self, state) -> None:
        for part in state if isinstance(state, tuple) else (state,):  # (dict, slots)
            if isinstance(part, dict):
                vars(self).update((name, value) for name, value in part.items() if isinstance(name, str))


class ShellUnpickler(safe_load.Unpickler):
    """Knows tensors, plain data and shells."""

    def find_class(self, module: str, name: str):
        path = f'{module}.{name}'
        if path == 'functools.partial' or path.startswith(SHELLED):
            return safe_load.Name(path, lambda *arguments: Shell())
        return super().find_class(module, name)


def read_module(path: str | Path) -> dict[str, Tensor]:
    """State dict of a pickled module or of a TorchScript archive; CheckpointError for anything else."""
    try:
        root = safe_load.read(path, reader=ShellUnpickler, states={Shell: Shell.set_state})
    except CheckpointError as error:
        raise CheckpointError(
            f'it is no pickled module of plain layers ({error}) Download the official file again, or '
            'pass its weights as .safetensors.'
        ) from None
    if not isinstance(root, Shell):
        raise CheckpointError(f'it holds a {type(root).__name__}, no module: download the official file again.')
    found = dict(_tensors(root))
    if not found:
        raise CheckpointError('it holds a module without tensors: download the official file again.')
    return found


def tensors_of(content) -> dict[str, Tensor]:
    """The tensors of what a file held; CheckpointError where there are none at its top."""
    entries = content if isinstance(content, dict) else {}
    found = {k: v for k, v in entries.items() if isinstance(k, str) and isinstance(v, (Tensor, Unreadable))}
    check_dense(found)
    if not found:
        kind = f'a dict of {", ".join(map(str, list(entries)[:4]))}' if entries else f'a {type(content).__name__}'
        raise CheckpointError(f'the file holds {kind}, where tensors by name were expected')
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}  # all of them, by now


def _tensors(node: Shell, prefix: str = '', seen: set | None = None):
    """(name, tensor) below a shell: eager modules keep them in _parameters, _modules, scripted ones as attributes."""
    seen = set() if seen is None else seen
    if node in seen or prefix.count('.') > MAX_DEPTH:
        raise CheckpointError(f'one of its modules is in it twice, or they lie more than {MAX_DEPTH} deep')
    seen.add(node)
    for name, value in vars(node).items():
        parts = value if name in ('_parameters', '_modules', '_buffers') and isinstance(value, dict) else {name: value}
        for key, part in parts.items():
            if isinstance(part, Tensor):
                yield f'{prefix}{key}', part.detach()
            elif isinstance(part, Shell):
                yield from _tensors(part, f'{prefix}{key}.', seen)
