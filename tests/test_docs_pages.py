"""Documentation is true: what docs/add adds works in a copy of the package, and every name that a page mentions exists."""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import test_house
from mmengine.registry import Registry

from cae_bench import registry

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for path in (ROOT / 'docs/add').glob('*.md') if path.stem != 'index')
COPIED = ('cae_bench', 'configs', 'benchmarks/suites', 'results/published')
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


def blocks(page: Path) -> tuple[dict[str, str], str]:
    """({path: text} of the files that a page adds, its other Python code in order)."""
    found = BLOCK.findall(page.read_text(encoding='utf-8'))
    files = {title: text for _, title, text in found if title}
    return files, '\n'.join(text for language, title, text in found if language == 'python' and not title)


def copy_of_the_package(folder: Path) -> None:
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__'))


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_the_files_of_a_page_work_as_its_code_says(page, tmp_path):
    files, code = blocks(page)
    assert 'assert ' in code
    copy_of_the_package(tmp_path)
    for name, text in files.items():
        path = tmp_path / name
        assert not path.exists(), f'{page.name} adds {name}, which the package has already'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    where = 'import cae_bench, pathlib\nassert pathlib.Path(cae_bench.__file__).is_relative_to(pathlib.Path.cwd())\n'
    (tmp_path / 'page.py').write_text(where + code, encoding='utf-8')
    env = dict(os.environ, PYTHONPATH=str(tmp_path), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    done = subprocess.run(
        [sys.executable, 'page.py'], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]


def test_every_page_stands_in_the_menu():
    menu = (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    absent = [
        path for path in (ROOT / 'docs').rglob('*.md') if f' {path.relative_to(ROOT / "docs").as_posix()}\n' not in menu
    ]
    assert not absent


def test_every_folder_of_the_package_stands_on_the_page_of_the_design():
    design = (ROOT / 'docs/design.md').read_text(encoding='utf-8')
    rooms = {path.parent.name for path in (ROOT / 'cae_bench').glob('*/__init__.py')}
    assert not {room for room in rooms if f'`{room}/`' not in design}


def test_the_order_of_imports_on_the_page_of_the_design_is_the_one_that_is_checked():
    order = (
        (ROOT / 'docs/design.md')
        .read_text(encoding='utf-8')
        .partition('<!-- picture of imports -->')[2]
        .split('```')[1]
    )
    written = [set(line.split(', ')) for line in order.split('\n') if line]
    unseen = {'__init__', '__main__', '__version__'}
    assert written == [rooms - unseen for rooms in test_house.ORDER]


def pages() -> list[Path]:
    return [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').rglob('*.md'))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def absent_paths(page: Path) -> set[str]:
    """Paths of this repository that a page mentions and that are not there. `<name>`, `{a,b}` and `*` are no paths."""
    text, (own, _) = page.read_text(encoding='utf-8'), blocks(page)
    # The recipes cite configs/ of other repositories too.
    tops = 'cae_bench|tests|docs|benchmarks|results' + ('' if page.stem == 'recipes' else '|configs')
    found = re.findall(rf'(?<![\w/.])((?:{tops})/[\w./-]*)(?![\w<*{{])', text)
    return {path for path in found if path not in own and not (ROOT / path.rstrip('.')).exists()}


def is_registered(name: str) -> bool:
    registries = [value for value in vars(registry).values() if isinstance(value, Registry)]
    return any(one.get(name) is not None for one in registries)


def absent_names(page: Path) -> set[str]:
    """Dotted names below `cae_bench` that a page mentions: neither attribute, nor module, nor registered, nor of its own."""
    text, (own, _) = page.read_text(encoding='utf-8'), blocks(page)
    classes = set(re.findall(r'(?m)^class (\w+)', '\n'.join(own.values())))
    absent = set()
    for name in set(re.findall(r'(?<![\w/])cae_bench(?:\.[A-Za-z]\w*)+', text)):
        if name.rpartition('.')[2] in classes or re.fullmatch(r'cae_bench\.[A-Z]\w+', name) and is_registered(name):
            continue
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            absent.add(name)
    return absent


@pytest.mark.parametrize('page', pages(), ids=name_of)
def test_every_path_and_dotted_name_on_a_page_exists(page):
    assert not absent_paths(page) | absent_names(page)


def test_every_file_of_the_package_that_code_and_configs_mention_exists():
    files = [path for top in ('cae_bench', 'configs', 'benchmarks') for path in (ROOT / top).rglob('*.py')]
    named = {name for path in files for name in re.findall(r'cae_bench/[\w/]+\.py', path.read_text(encoding='utf-8'))}
    assert named and not {name for name in named if not (ROOT / name).exists()}


def test_a_path_and_a_name_that_are_gone_are_found(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('`cae_bench/gone.py`, `tests/test_gone.py::test_a`, `cae_bench.runs.gone`, `cae_bench.GoneProbe`.')
    assert absent_paths(page) == {'cae_bench/gone.py', 'tests/test_gone.py'}
    assert absent_names(page) == {'cae_bench.runs.gone', 'cae_bench.GoneProbe'}
