"""Dotted paths into a config: `model.neck.FPN.in_channels`.

An item of a list is named by its type without the scope (`pipeline.CheckMask`), which stays true when another item is
put before it, or by its position (`pipeline.1`, `milestones.0`).
"""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

Container = Config | dict[str, Any] | list[Any] | tuple[Any, ...]


class NoSuchPlace(LookupError):
    """A path ends early: `container` has no `part`, or holds a plain value there."""

    def __init__(self, container: Container, part: str):
        super().__init__(f'there is no {part!r}')
        self.container, self.part = container, part


def find(cfg: Config, path: str) -> tuple[Any, Any]:
    """(container, key or index) of a path: `find(cfg, 'a.FPN.b')` is (cfg.a[1], 'b').

    The last part of a path may be a key that its dict has not yet.

    Raises:
        NoSuchPlace: another part is missing, or stands for a plain value.
    """
    *parents, last = path.split('.')
    place: Container = cfg
    for part in parents:
        key = _key(place, part)
        # a key of its container, whichever kind that is
        inner = place[key] if key is not None else None  # pyright: ignore[reportCallIssue, reportArgumentType]
        if not isinstance(inner, (dict, list, tuple)):
            raise NoSuchPlace(place, part)
        place = inner
    key = _key(place, last)
    if key is None and isinstance(place, (list, tuple)):
        raise NoSuchPlace(place, last)
    return place, last if key is None else key


def get(cfg: Config, path: str) -> Any:
    """The value at a path; raises NoSuchPlace where there is none."""
    container, key = find(cfg, path)
    if _key(container, str(key)) is None:
        raise NoSuchPlace(container, str(key))
    return container[key]


def by_position(cfg: Config, path: str) -> str:
    """The same path with positions in the place of types: what mmengine's `merge_from_dict` understands."""
    parts = path.split('.')
    return '.'.join(str(find(cfg, '.'.join(parts[: i + 1]))[1]) for i in range(len(parts)))


def names(container: Container) -> Iterator[str]:
    """What a part of a path may be called here."""
    if isinstance(container, (list, tuple)):
        yield from (str(i) for i in range(len(container)))
        yield from filter(None, map(_type_name, container))
    else:
        yield from map(str, container)


def _key(container: Container, part: str) -> str | int | None:
    """The key or index that a part of a path stands for; None where there is none, or where two items are of a type."""
    if not isinstance(container, (list, tuple)):
        return part if part in container else None
    if part.isdigit():
        return int(part) if int(part) < len(container) else None
    same = [i for i, item in enumerate(container) if _type_name(item) == part]
    return same[0] if len(same) == 1 else None


def _type_name(item: Any) -> str:
    """'FPN' of dict(type='mmdet.FPN', ...); '' of anything that names no type."""
    kind = item.get('type') if isinstance(item, dict) else None
    return kind.rpartition('.')[2] if isinstance(kind, str) else ''
