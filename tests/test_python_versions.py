"""The Python that the pins can be installed with is the one that setup.py, Makefile and README ask for."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# An interpreter that says it is of another version and can run a line of code, no more.
PRETENDS = """#!{python}
import sys
if sys.argv[1] != '-c':
    sys.exit('makes the environment')
sys.version_info, sys.version = tuple(map(int, '{version}'.split('.'))), '{version}'
exec(sys.argv[2])
"""


def test_setup_readme_and_classifiers_name_the_same_versions():
    setup, readme = (ROOT / 'setup.py').read_text(), (ROOT / 'README.md').read_text()
    versions = re.findall(r'Python :: (3\.\d+)', setup)
    assert re.search(r"python_requires='>=(.+?)'", setup)[1] == versions[0]
    assert f'Python {", ".join(versions[:-1])} or {versions[-1]}' in readme
    assert re.findall(r"'(3\.\d+)'", (ROOT / '.github/workflows/ci.yml').read_text()) == versions


@pytest.mark.parametrize(
    'version, says',
    [
        ('3.10.13', 'cae_bench is pinned for Python 3.11 to 3.13, this is 3.10.13: make setup PYTHON=python3.12'),
        ('3.11.0', 'makes the environment'),
        ('3.13.9', 'makes the environment'),
        ('3.14.0', 'cae_bench is pinned for Python 3.11 to 3.13, this is 3.14.0: make setup PYTHON=python3.12'),
    ],
)
def test_make_setup_refuses_another_python_in_one_line(version, says, tmp_path):
    python = tmp_path / 'python'
    python.write_text(PRETENDS.format(python=sys.executable, version=version))
    python.chmod(0o755)
    # As from a shell: under `make test` an inner make would count its level and name itself make[1].
    shell = {name: value for name, value in os.environ.items() if name not in ('MAKELEVEL', 'MAKEFLAGS', 'MFLAGS')}
    done = subprocess.run(
        ['make', 'setup', f'PYTHON={python}', f'VENV={tmp_path / "venv"}'],
        cwd=ROOT,
        env=shell,
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if not line.startswith('make:')] == [says], done.stderr
