"""A wheel works outside the checkout: configs, suites and published results travel in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the checkout's tracked files and unpacked by pip."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    source.mkdir()
    tracked = subprocess.run(['git', 'ls-files', '-z'], cwd=CHECKOUT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split('\0')):
        if (CHECKOUT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((CHECKOUT / name).read_bytes())
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--quiet']
    subprocess.run([*pip, 'wheel', '--no-deps', '--no-build-isolation', '-w', folder, source], check=True)
    (wheel,) = folder.glob('cae_bench-*.whl')
    subprocess.run([*pip, 'install', '--no-deps', '--target', folder / 'site', wheel], check=True)
    return folder / 'site'


def python(installed: Path, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed.parent,
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(installed)},
    )


def test_the_wheel_finds_its_configs_suites_and_published_results(installed):
    code = (
        'import cae_bench.paths as p; '
        'print(p.PACKAGE, *map(p.shipped, ["configs", "benchmarks/suites", "results/published"]))'
    )
    places = python(installed, '-c', code).stdout.split()
    assert len(places) == 4 and all(Path(place).is_relative_to(installed) and Path(place).is_dir() for place in places)
    assert 'upernet' in python(installed, '-m', 'cae_bench', 'ls', 'tasks').stdout
    assert '70.3' in python(installed, '-m', 'cae_bench', 'table', '--suite', 'cae_paper').stdout


def test_the_wheel_says_that_it_is_typed(installed):
    assert (installed / 'cae_bench/py.typed').is_file()


def test_the_wheel_s_configs_resolve_their_bases(installed):
    code = (
        'from cae_bench.runs.find import read_header; from cae_bench.paths import shipped; '
        'print(len([read_header(f) for f in shipped("configs").glob("[!_p]*/*.py")]))'
    )
    done = python(installed, '-c', code)
    assert int(done.stdout or 0) > 20, done.stderr


def test_the_wheel_carries_no_tests_and_no_measured_results(installed):
    assert not (installed / 'tests').exists() and not (installed / 'cae_bench/.mim/results/measured').exists()
