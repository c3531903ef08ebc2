"""The only names a checkpoint's pickle may ask for besides tensors: plain data that official files really hold."""
import argparse
import collections
import pathlib
import sys
from pickle import UnpicklingError

import numpy as np

_BUFFER = 'mmengine.logging.history_buffer'


class HistoryBufferShell:
    """Stands for mmengine's HistoryBuffer, a log of losses, where mmengine is not in use."""


def _attribute(owner, name: str):
    """mmengine pickles HistoryBuffer's own methods through getattr; nothing else may be reached that way."""
    if owner is HistoryBufferShell:
        return None
    if owner is not getattr(sys.modules.get(_BUFFER), 'HistoryBuffer', None) or name.startswith('_'):
        raise UnpicklingError(f'Unsupported global: GLOBAL getattr({owner!r},{name!r}) was not an allowed global')
    return getattr(owner, name)


def _as_dict(*_factory) -> collections.OrderedDict:
    """torch's unpickler fills no defaultdict, and a file has no use for its factory."""
    return collections.OrderedDict()


def allowed_globals() -> list[tuple]:
    """(object, name in the file) pairs for torch.serialization.safe_globals."""
    core = getattr(np, '_core', None) or np.core
    names = [(argparse.Namespace, 'argparse.Namespace'), (_as_dict, 'collections.defaultdict'),
             (dict, 'builtins.dict'), (list, 'builtins.list'), (tuple, 'builtins.tuple'), (int, 'builtins.int'),
             (float, 'builtins.float'), (slice, 'builtins.slice'), (frozenset, 'builtins.frozenset'),
             (np.ndarray, 'numpy.ndarray'), (np.dtype, 'numpy.dtype')]
    # Old NumPy wrote numpy.core, new NumPy numpy._core, and either must read both.
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        names += [(core.multiarray.scalar, f'{module}.scalar'),
                  (core.multiarray._reconstruct, f'{module}._reconstruct')]
    numbers = [np.dtype(kind) for kind in (*'?bhilqBHILQefd', 'S1', 'U1')]
    names += [(type(d), f'numpy.dtypes.{type(d).__name__}') for d in numbers]
    for kind in ('PurePath', 'PurePosixPath', 'PureWindowsPath', 'Path', 'PosixPath', 'WindowsPath'):
        pure = pathlib.PureWindowsPath if 'Windows' in kind else pathlib.PurePosixPath
        names += [(pure, f'pathlib.{kind}'), (pure, f'pathlib._local.{kind}')]
    buffer = getattr(sys.modules.get(_BUFFER), 'HistoryBuffer', HistoryBufferShell)
    return names + [(buffer, f'{_BUFFER}.HistoryBuffer'), (_attribute, 'builtins.getattr')]
