"""How messages about data sets name files, classes and sizes."""

from collections.abc import Iterable, Sequence


def listed(names: Iterable[str], limit: int = 3) -> str:
    """'cat, dog, eel and 4 more', in sorted order."""
    names = sorted(names)
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def counted(names: Iterable[str], noun: str) -> str:
    """'class cat', 'classes cat, dog, eel and 4 more'."""
    names = list(names)
    plural = noun if len(names) == 1 else noun + ('es' if noun.endswith('s') else 's')
    return f'{plural} {listed(names)}'


def first_ten(names: Sequence[str]) -> str:
    """'cat, dog, ...', in the order given."""
    return ', '.join(names[:10]) + ' ...' * (len(names) > 10)


def by(size: tuple[int, int]) -> str:
    """(width, height) as '640x480'."""
    return f'{size[0]}x{size[1]}'
