"""Private names of other packages: all in one file, and missed by name and version when a release drops one."""

import ast
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

import mmengine.optim.scheduler.param_scheduler as schedulers
import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop

import cae_bench
from cae_bench.compat import installed, private_names
from cae_bench.compat.private_names import NAMES, PrivateName
from cae_bench.errors import CaeBenchError, InstallationError
from cae_bench.training.runner import QuietRunner

PACKAGE = Path(cae_bench.__file__).parent
THE_FILE = 'compat/private_names.py'
STANDARD_LIBRARY = {'os._exit', 'pickle._Unpickler'}  # documented, and as old as Python 3
TREES = {f.relative_to(PACKAGE).as_posix(): ast.parse(f.read_text()) for f in PACKAGE.rglob('*.py')}


def is_private(name: str) -> bool:
    return name.startswith('_') and not name.startswith('__')


def is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == 'self'


@cache
def defined_here() -> set[str]:
    """Every private name that the package gives to something of its own."""
    found = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
                found.add(node.attr)
    return found - {name.name for name in NAMES}


def foreign(file: str) -> set[str]:
    """Private names of others that a file uses: as attributes, in imports, and as strings given to getattr."""
    own, found = defined_here(), set()
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            found.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            parts = [*(node.module or '').split('.'), *(alias.name for alias in node.names)]
            found |= {f'{node.module}: {part}' for part in parts if is_private(part)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ('getattr', 'hasattr', 'setattr', 'delattr'):
            name = getattr(node.args[1], 'value', None)
            if isinstance(name, str) and is_private(name) and name not in own:
                found.add(ast.unparse(node))
    return found


def test_private_names_of_other_packages_are_used_in_one_file_only():
    stray = set()
    for file in set(TREES) - {THE_FILE}:
        allowed = {name.name for name in NAMES if file in name.inside}
        used = foreign(file) - STANDARD_LIBRARY
        stray |= {(file, name) for name in used if re.split(r'[. ]', name)[-1] not in allowed}
    assert not stray


@pytest.mark.parametrize('name', NAMES, ids=lambda name: f'{name.place}.{name.name}')
def test_every_listed_name_exists_and_is_used(name):
    assert name.exists() or name.may_be_gone
    files = name.inside or (THE_FILE,)
    for file in files:
        used = {node.attr for node in ast.walk(TREES[file]) if isinstance(node, ast.Attribute)}
        defined = {node.name for node in ast.walk(TREES[file]) if isinstance(node, ast.FunctionDef)}
        assert name.name in used | defined, file


@pytest.mark.parametrize(
    'owner, name, package, distribution',
    [
        (EpochBasedTrainLoop, '_decide_current_val_interval', 'mmengine', 'onedl-mmengine'),
        (torch.distributed.distributed_c10d, '_get_default_store', 'torch', 'torch'),
        (torch.cpu, '_is_avx512_bf16_supported', 'torch', 'torch'),
    ],
)
def test_a_run_does_not_start_without_one_and_names_the_version(monkeypatch, owner, name, package, distribution):
    monkeypatch.delattr(owner, name)
    with pytest.raises(InstallationError) as error:
        QuietRunner()
    found, number = installed.distribution(package)
    assert str(error.value).startswith(f'{found} {number} has no ') and f'.{name}, which' in str(error.value)
    assert str(error.value).endswith(f"pip install '{distribution}=={installed.TESTED[package]}'")
    assert number == version(found) and isinstance(error.value, CaeBenchError)


def test_an_attribute_of_instances_is_missed_too():
    private_names.check()
    place = 'mmengine.optim.optimizer.optimizer_wrapper:OptimWrapper'
    with pytest.raises(InstallationError, match=r'OptimWrapper\._accumulated, which .*\(counts\)'):
        private_names.check((PrivateName(place, '_accumulated', 'counts'),))


def test_the_base_class_of_schedulers_is_missed_when_it_is_asked_for(monkeypatch):
    monkeypatch.delattr(schedulers, '_ParamScheduler')
    with pytest.raises(InstallationError, match='_ParamScheduler'):
        _ = private_names.ParamScheduler


def test_a_name_that_some_version_has_not_stops_nothing(monkeypatch):
    gone = PrivateName('mmengine.runner.checkpoint', '_not_there', 'another way is taken', may_be_gone=True)
    private_names.check((gone,))
    assert not gone.exists()


def test_the_remedy_is_the_version_that_is_pinned():
    constraints = Path(cae_bench.__file__).parents[1] / 'constraints.txt'
    pinned = dict(line.split('==') for line in constraints.read_text().split())
    for package, number in installed.TESTED.items():
        assert pinned[installed.PACKAGES[package][0]] == number
