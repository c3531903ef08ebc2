"""A folder finds its own files: adding a file is all it takes to register what is in it."""
import importlib
import pkgutil


def import_all(package: str, path: list[str]) -> list:
    """Imports every module directly in a package's folder and returns them in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith('_'))
    return [importlib.import_module(f'{package}.{name}') for name in names]
