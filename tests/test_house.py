"""The rooms of docs and design: few files at the top, imports run downwards, no circle between modules or rooms."""

import ast
from functools import cache
from pathlib import Path

import pytest

import cae_bench

PACKAGE = Path(cae_bench.__file__).parent

# From the door down. A room may know the rooms of later lines, and those of its own line that do not know it.
ORDER = [
    {'__init__', '__main__', 'cli'},
    {'commands'},
    {'benchmark'},
    {'runs', 'forecast', 'distributed'},
    {'probing', 'pretraining'},
    {'models', 'training', 'datasets', 'evaluation', 'pictures'},
    {'checkpoints'},
    {'registry', 'compat', 'results'},
    {'statistics'},
    {'errors', 'logs', 'paths', 'tasks', 'stopping', '__version__'},
]
RANK = {room: place for place, line in enumerate(ORDER) for room in line}

# (importing file, imported room) -> why it stands against the order.
EXCEPTIONS = {
    ('compat/guarded_loading.py', 'checkpoints'): (
        'put in place while `import cae_bench` imports no torch; the reader follows when mmengine has been imported'
    ),
}
# Modules that know each other, with the reason.
CIRCLES: dict[frozenset[str], str] = {}


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file, of every module of the package."""
    found = {}
    for file in PACKAGE.rglob('*.py'):
        parts = (PACKAGE.name, *file.relative_to(PACKAGE).with_suffix('').parts)
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = file
    return found


def imports(name: str) -> set[str]:
    """What a module imports of the package, inside functions too: modules, or `cae_bench.<name>` of the package's own."""
    file, here, found = modules()[name], name.split('.'), set()
    if file.name != '__init__.py':
        here = here[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split('.')[0] == PACKAGE.name}
        if not isinstance(node, ast.ImportFrom):
            continue
        start = here[: len(here) - node.level + 1] if node.level else []
        source = '.'.join([*start, *([node.module] if node.module else [])])
        if source.split('.')[0] != PACKAGE.name:
            continue
        for alias in node.names:
            below = f'{source}.{alias.name}'
            found.add(below if below in modules() or source == PACKAGE.name else source)
    return found - {name}


def room(module: str) -> str:
    return module.split('.')[1] if '.' in module else '__init__'


def links() -> set[tuple[str, str, str]]:
    """(file, its room, the other room that it imports from)."""
    return {
        (modules()[name].relative_to(PACKAGE).as_posix(), room(name), room(target))
        for name in modules()
        for target in imports(name)
        if room(name) != room(target)
    }


def circles(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """Sets of nodes of which each reaches every other."""
    reach = {node: {node, *targets} for node, targets in edges.items()}
    while True:
        wider = {node: set().union(*(reach.get(other, {other}) for other in seen)) for node, seen in reach.items()}
        if wider == reach:
            break
        reach = wider
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in reach}
    return {group for group in groups if len(group) > 1}


def test_at_most_ten_files_lie_at_the_top():
    assert len(list(PACKAGE.glob('*.py'))) <= 10


def test_every_room_has_its_place_in_the_order():
    assert {room(name) for name in modules()} <= set(RANK)


def test_imports_run_downwards():
    upwards = {
        (file, target) for file, own, target in links() if RANK[target] < RANK[own] and (file, target) not in EXCEPTIONS
    }
    assert not upwards


def test_no_two_rooms_know_each_other():
    edges = {}
    for file, own, target in links():
        if (file, target) not in EXCEPTIONS and own != '__init__':
            edges.setdefault(own, set()).add(target)
    assert circles(edges) == set()


def test_no_circle_of_modules_but_those_with_a_reason():
    found = circles({name: imports(name) & set(modules()) for name in modules()})
    assert found == set(CIRCLES)


@pytest.mark.parametrize('exception', EXCEPTIONS, ids=str)
def test_an_exception_that_is_no_longer_needed_is_deleted(exception):
    assert exception in {(file, target) for file, _, target in links()}
