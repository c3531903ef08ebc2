"""cae_bench: how good is a self-supervised ViT, with a record behind every number. Importing it imports no torch."""

from typing import TYPE_CHECKING

from . import compat  # noqa: F401  stands in for mmcv's ops and guards mmengine's loader, before anything asks

__version__ = '0.1.0'

if TYPE_CHECKING:  # for type checkers and editors; at run time `__getattr__` imports each on its first use
    from . import checkpoints
    from .commands.run import run
    from .models import load_backbone
    from .results import load_records

__all__ = ['__version__', 'checkpoints', 'load_backbone', 'load_records', 'run']
_HOMES = {'load_backbone': 'cae_bench.models', 'run': 'cae_bench.commands.run', 'load_records': 'cae_bench.results'}


def __getattr__(name: str):
    import importlib

    if name == 'checkpoints':
        return importlib.import_module('cae_bench.checkpoints')
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
