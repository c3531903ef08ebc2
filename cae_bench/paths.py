"""Where configs, suites and published results lie: in the checkout, or inside an installed wheel under `.mim`."""
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """The folder `configs`, `benchmarks/suites` or `results/published`, wherever this installation keeps it."""
    inside = PACKAGE / '.mim' / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder
