"""Any set of recorded outputs with the layout of ours is taken whole: no name, file or size is known to a test."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import golden
import packed_golden
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


def test_a_set_without_a_kind_skips_its_tests_and_says_why(tmp_path):
    manifest = json.loads((COMPACT / 'MANIFEST.json').read_text())
    for name in ('masks', 'det_backbone_cae'):
        del manifest['cases'][name]
    for file in COMPACT.iterdir():
        (tmp_path / file.name).symlink_to(file)
    for file in ('MANIFEST.json', 'lars_io.npz.xz'):
        (tmp_path / file).unlink()
    (tmp_path / 'MANIFEST.json').write_text(json.dumps(manifest))
    code = 'import golden; print(golden.each_record("masks")[0].marks, golden.each_variant("detection")[0].marks)'
    out = run(['-c', f'{code}; print(golden.summary())'], str(tmp_path))
    assert out.count("name='skip'") == 2
    assert all(f"holds no case of the kind '{kind}'" in out for kind in ('masks', 'detection'))
    assert f'golden: 16 of 17 cases of {tmp_path} were here; not run, files lack: lars;' in out
    assert 'not run, no such case: detection, masks\n' in out


def write_renamed_set(folder: Path) -> None:
    """The compact set, unpacked, with other names of cases, files and tables."""
    manifest = json.loads((COMPACT / 'MANIFEST.json').read_text())
    new = {file: f'{i:02d}{Path(file).suffix}' for i, file in enumerate(manifest['files'])}
    for file, other in new.items():
        (folder / other).write_bytes(packed_golden.unpack(COMPACT, file))
    renamed = {}  # hashes of the tables, whose keys are others now
    for entry in manifest['cases'].values():
        entry['files'] = [new[file] for file in entry['files']]
        entry['what'] = re.sub(r'\b\w+\.(pth|npz|pkl)\b', lambda m: new.get(m[0], m[0]), entry['what'])
        if 'uses' in entry:
            entry['uses'] = new[entry['uses']]
        for file in entry['files'] if not entry.get('arrays') else []:
            records = json.loads((folder / file).read_text())
            content = json.dumps({f'other {i}': record for i, record in enumerate(records.values())}).encode()
            (folder / file).write_bytes(content)
            renamed[file] = dict(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    manifest['cases'] = {f'case {i}': entry for i, entry in enumerate(manifest['cases'].values())}
    manifest['files'] = {new[file]: entry for file, entry in manifest['files'].items()} | renamed
    (folder / 'MANIFEST.json').write_text(json.dumps(manifest))


def test_a_set_with_other_names_passes_as_many_tests(tmp_path):
    write_renamed_set(tmp_path)
    files = [
        'checkpoints/test_resize.py',
        'models/test_golden_backbones.py',
        'models/test_golden_pyramids.py',
        'pretraining/test_golden_cae_pretrain.py',
        'pretraining/test_golden_mae_beit.py',
        'probing/test_lars.py',
        'probing/test_probes_golden.py',
        'training/test_layer_decay.py',
    ]
    out = run(['-m', 'pytest', '-o', 'addopts=', '-m', 'golden', *files], str(tmp_path))
    count = re.search(r'(\d+) passed', out)
    assert count and int(count[1]) >= 50 and not re.search(r'\d+ skipped', out), out
    assert re.search(r'golden: (\d+) of \1 cases', out) and 'not run' not in out
