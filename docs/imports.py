"""For the site: draws which room imports which, from the code, in the place of `<!-- picture of imports -->`."""

import ast
from html import escape
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / 'cae_bench'
MARK = '<!-- picture of imports -->'
WIDTH, ROW, BOX = 900, 74, 26


def on_page_markdown(markdown: str, **kwargs) -> str:
    """The hook that mkdocs calls for each page."""
    if MARK not in markdown:
        return markdown
    order = markdown.partition(MARK)[2].split('```')[1]  # the page's block of rooms, a line each
    return markdown.replace(MARK, draw([line.split(', ') for line in order.split('\n') if line], edges()))


def edges() -> dict[str, set[str]]:
    """Room -> the rooms that its files import from."""
    found: dict[str, set[str]] = {}
    for file in PACKAGE.rglob('*.py'):
        parts = file.relative_to(PACKAGE).with_suffix('').parts
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            # `from ..a.b import c` of two dots in room/file.py is room a; `from .. import a` names it behind `import`
            if isinstance(node, ast.ImportFrom) and node.level == len(parts):
                names = [node.module.split('.')[0]] if node.module else [alias.name for alias in node.names]
                found.setdefault(parts[0], set()).update(name for name in names if name != parts[0])
    return found


def reduced(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The edges that do not follow from others."""

    def reach(room: str, seen: frozenset[str] = frozenset()) -> set[str]:
        below = graph.get(room, set()) - seen
        return below.union(*(reach(other, seen | {room}) for other in below))

    return [
        (room, target)
        for room, targets in sorted(graph.items())
        for target in sorted(targets)
        if not any(target in reach(other) for other in targets - {target})
    ]


def draw(rows: list[list[str]], graph: dict[str, set[str]]) -> str:
    """Boxes in the rows of the order, an arrow for each import; one that runs upward is red."""
    place = {}
    for y, row in enumerate(rows):
        gap = WIDTH / (len(row) + 1)
        place |= {room: (round(gap * (x + 1)), 20 + ROW * y) for x, room in enumerate(row)}
    graph = {room: targets & set(place) for room, targets in graph.items() if room in place}
    upward = {(room, target) for room in graph for target in graph[room] if place[target][1] < place[room][1]}
    downward = {room: {target for target in graph[room] if (room, target) not in upward} for room in graph}
    lines = [_arrow(*place[room], *place[target]) for room, target in [*reduced(downward), *sorted(upward)]]
    boxes = [
        f'<rect x="{x - 50}" y="{y - BOX // 2}" width="100" height="{BOX}" rx="4" fill="var(--md-code-bg-color)" '
        f'stroke="currentColor" stroke-opacity=".4"/><text x="{x}" y="{y + 4}" text-anchor="middle">{escape(room)}</text>'
        for room, (x, y) in place.items()
    ]
    head = '<marker id="a" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="7" markerHeight="7" orient="auto">'
    return (
        f'<svg viewBox="0 0 {WIDTH} {ROW * len(rows) - 20}" font-size="12" fill="currentColor" role="img" '
        f'aria-label="Rooms and their imports"><defs>{head}<path d="M0 0L6 3L0 6z" fill="context-stroke"/></marker></defs>'
        + ''.join(lines + boxes)
        + '</svg>'
    )


def _arrow(x: int, y: int, to_x: int, to_y: int) -> str:
    if y == to_y:  # neighbours of one row: from side to side
        side = 50 if to_x > x else -50
        path = f'M{x + side} {y} L{to_x - side} {to_y}'
    else:
        half = BOX // 2 if to_y > y else -BOX // 2
        start, end = y + half, to_y - half
        bend = (end - start) / 2
        path = f'M{x} {start} C{x} {start + bend} {to_x} {end - bend} {to_x} {end}'
    colour = 'stroke="red"' if to_y < y else 'stroke="currentColor" stroke-opacity=".45"'
    return f'<path d="{path}" fill="none" {colour} marker-end="url(#a)"/>'
