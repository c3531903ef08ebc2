"""The Python that the pins can be installed with is the one that setup.py, Makefile and README ask for."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_setup_readme_and_classifiers_name_the_same_versions():
    setup, readme = (ROOT / 'setup.py').read_text(), (ROOT / 'README.md').read_text()
    versions = re.findall(r'Python :: (3\.\d+)', setup)
    assert re.search(r"python_requires='>=(.+?)'", setup)[1] == versions[0]
    assert f'Python {", ".join(versions[:-1])} or {versions[-1]}' in readme


@pytest.mark.parametrize('version, refused', [('3.10.13', True), ('3.11.0', False)])
def test_make_setup_refuses_an_older_python_in_one_line(version, refused, tmp_path):
    """An interpreter that says it is of this version; where it is accepted, making the environment fails on purpose."""
    python = tmp_path / 'python'
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] || {{ echo "makes the environment" >&2; exit 9; }}\n'
                      f'exec "{sys.executable}" -c "import sys; sys.version_info = tuple(map(int, \'{version}\'.split(\'.\'))); '
                      f'sys.version = \'{version}\'; exec(sys.argv[1])" "$2"\n')
    python.chmod(0o755)
    done = subprocess.run(['make', 'setup', f'PYTHON={python}', f'VENV={tmp_path / "venv"}'], cwd=ROOT, text=True,
                          capture_output=True, timeout=60)
    said = [line for line in done.stderr.splitlines() if not line.startswith('make')]
    assert done.returncode == 2
    assert said == [f'cae_bench needs Python 3.11 or newer, this is {version}' if refused else 'makes the environment']
