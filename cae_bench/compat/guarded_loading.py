"""mmengine reads checkpoints safely wherever cae_bench is imported, in whichever order the two are.

mmengine's own loader falls back to a full unpickler, which runs code. It is replaced the moment `mmengine.runner.
checkpoint` has been imported, by a finder at the start of `sys.meta_path`; neither mmengine nor torch is imported here.
"""

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

NAME = 'mmengine.runner.checkpoint'


class _Finder(MetaPathFinder):
    """Lets the others find the module, and adds the guard to the end of its execution."""

    _searches = False

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        if fullname != NAME or self._searches:
            return None
        self._searches = True  # find_spec below comes through here again
        try:
            spec = importlib.util.find_spec(NAME)
        finally:
            self._searches = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_guard(module) -> None:
                execute(module)
                _guard(module)

            spec.loader.exec_module = execute_and_guard
        return spec


def _guard(module) -> None:
    from ..checkpoints.mmengine_guard import guard

    guard(module)


def install() -> None:
    """Guards the module if it is there, and whenever it comes."""
    if NAME in sys.modules:
        _guard(sys.modules[NAME])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
