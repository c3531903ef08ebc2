"""cae_bench: how good is a self-supervised ViT, with a record behind every number. Importing it imports no torch."""

from . import compat  # noqa: F401  stands in for mmcv's ops and guards mmengine's loader, before anything asks

__version__ = '0.1.0'

_LAZY = {'load_backbone': 'cae_bench.models', 'run': 'cae_bench.commands.run', 'load_records': 'cae_bench.results'}
__all__ = ['__version__', 'checkpoints', *_LAZY]


def __getattr__(name: str):
    import importlib

    if name == 'checkpoints':
        return importlib.import_module('cae_bench.checkpoints')
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
