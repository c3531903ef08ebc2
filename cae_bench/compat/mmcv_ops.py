"""Mask R-CNN without compiled mmcv: a stand-in for `mmcv._ext` whose ops are torchvision's, on CPU and CUDA.

mmcv.ops looks up its compiled functions in `mmcv._ext` when it is imported, and mmdet imports mmcv.ops. An mmcv without
compiled ops (mmcv-lite, or a source install under build isolation) thus breaks mmdet as a whole, although Mask R-CNN
calls three of those functions only: `nms`, `roi_align_forward` and `roi_align_backward`.

The stand-in is a finder at the end of `sys.meta_path`: compiled ops, where installed, are found first and win, and
neither mmcv nor torch is imported before somebody asks for `mmcv._ext`.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME = 'mmcv._ext'


class _Finder(MetaPathFinder, Loader):
    """Answers for `mmcv._ext` alone."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        # A real ModuleSpec: mmengine asks importlib.util.find_spec('mmcv._ext'), which reads the module's __spec__.
        return ModuleSpec(NAME, self, origin='cae_bench.compat (torchvision)') if fullname == NAME else None

    def exec_module(self, module: ModuleType) -> None:
        from . import torchvision_ops as ops

        names = ('nms', 'roi_align_forward', 'roi_align_backward')
        vars(module).update({name: getattr(ops, name) for name in names}, __getattr__=_missing_op)


def _missing_op(name: str):
    """mmcv.ops asks for every compiled function when it is imported, so a missing one may fail only when called."""
    if name.startswith('__'):
        raise AttributeError(f'module {NAME!r} has no attribute {name!r}')

    def missing(*args, **kwargs):
        raise NotImplementedError(
            f"mmcv op '{name}' needs compiled mmcv ops; the torchvision stand-in of cae_bench has nms and roi_align "
            '(average mode) only. Install an mmcv built with ops (MMCV_WITH_OPS=1), which is then used instead.'
        )

    missing.__name__ = name
    return missing


def install() -> None:
    """Puts the stand-in in reach, once. Imports nothing else."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def active() -> bool:
    """Whether `mmcv._ext` is the stand-in (True) or compiled ops (False)."""
    from importlib.util import find_spec

    spec = find_spec(NAME)
    return spec is not None and isinstance(spec.loader, _Finder)
