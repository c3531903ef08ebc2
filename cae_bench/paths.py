"""Where shipped files lie, in the checkout or in a wheel under `.mim`, and how a folder finds its own modules."""

import importlib
import pkgutil
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """The folder `configs`, `benchmarks/suites` or `results/published`, wherever this installation keeps it."""
    inside = PACKAGE / '.mim' / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def import_all(package: str, path: list[str]) -> list:
    """Imports every module directly in a package's folder and returns them in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith('_'))
    return [importlib.import_module(f'{package}.{name}') for name in names]
