"""The pages of docs/add are true: their files, written into a copy of the package, work as the pages' code says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
