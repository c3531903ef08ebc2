"""Any set of recorded outputs with the layout of ours is taken whole: no name, file or size is known to a test."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import golden
import pytest

TESTS = Path(__file__).resolve().parent
COMPACT = TESTS / 'data/golden'


@pytest.mark.golden
@pytest.mark.parametrize('name', list(golden.manifest()['cases']))
def test_every_case_and_every_record_is_of_a_kind_that_tests_ask_for(name):
    assert golden.kind_of(name), 'no kind has such arrays'
    assert not [r for r, (case, _) in golden.all_records().items() if case == name and not golden.kind_of_record(r)]


@pytest.mark.golden
def test_the_files_are_those_of_the_manifest():
    for name, entry in golden.manifest()['files'].items():
        assert hashlib.sha256(golden.path(name).read_bytes()).hexdigest() == entry['sha256'], name


def run(code: list[str], folder: str, cwd: Path = TESTS) -> str:
    env = {**os.environ, 'CAE_BENCH_GOLDEN': folder, 'PYTHONPATH': os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    done = subprocess.run([sys.executable, *code], cwd=cwd, env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_environment_variable_may_hold_a_relative_path():
    code = "import golden, os; os.chdir('/'); print(len(golden.manifest()['cases']), golden.FOLDER)"
    cases = json.loads((COMPACT / 'MANIFEST.json').read_text())['cases']
    assert run(['-c', code], 'data/golden').split() == [str(len(cases)), str(COMPACT)]


def test_a_set_without_a_kind_skips_its_tests_and_says_why():
    code = "import golden; print(golden.each_record('masks')[0].marks, golden.each_variant('detection')[0].marks)"
    out = run(['-c', code], 'data/golden')
    assert out.count('skip') == 2 and all(f"holds no case of the kind '{k}'" in out for k in ('masks', 'detection'))


def test_a_set_with_other_names_passes_as_many_tests(tmp_path):
    manifest = json.loads((COMPACT / 'MANIFEST.json').read_text())
    new = {file: f'{i:02d}{Path(file).suffix}' for i, file in enumerate(manifest['files'])}
    for file, other in new.items():
        (tmp_path / other).symlink_to(COMPACT / file)
    for entry in manifest['cases'].values():
        entry['files'] = [new[file] for file in entry['files']]
        if 'uses' in entry:
            entry['uses'] = new[entry['uses']]
    tables = next(new[file] for file in new if file.endswith('.json'))
    records = json.loads((tmp_path / tables).read_text())
    (tmp_path / tables).unlink()
    (tmp_path / tables).write_text(json.dumps({f'other {i}': record for i, record in enumerate(records.values())}))
    manifest['cases'] = {f'case {i}': entry for i, entry in enumerate(manifest['cases'].values())}
    manifest['files'] = {new[file]: entry for file, entry in manifest['files'].items()}
    (tmp_path / 'MANIFEST.json').write_text(json.dumps(manifest))
    files = [
        'probing/test_lars.py',
        'training/test_layer_decay.py',
        'probing/test_probes_golden.py',
        'models/test_golden_backbones.py',
    ]
    command = ['-m', 'pytest', '-o', 'addopts=', '-m', 'golden', *files]
    tallies = [re.findall(r'(\d+) (passed|skipped)', run(command, folder)) for folder in (str(COMPACT), str(tmp_path))]
    assert tallies[0] == tallies[1] and int(tallies[0][0][0]) >= 20
