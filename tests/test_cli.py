"""The command line as a user meets it: a subprocess, its exit code, and what it says."""

import json
import re
import subprocess
import sys

import pytest

from cae_bench.errors import ConfigError


def cae_bench(*arguments, cwd=None, timeout=400):
    return subprocess.run(
        [sys.executable, '-m', 'cae_bench', *map(str, arguments)],
        cwd=cwd,
        timeout=timeout,
        capture_output=True,
        text=True,
    )


def refused(*arguments, **kwargs) -> str:
    """What a wrong call says; it must be short, on stderr, with exit code 2 and no traceback."""
    done = cae_bench(*arguments, **kwargs)
    assert done.returncode == 2, done.stderr
    assert 'Traceback' not in done.stderr and len(done.stderr.strip().splitlines()) <= 6, done.stderr
    return done.stderr


@pytest.mark.parametrize('command', ['run', 'table', 'compare', 'inspect', 'ls', 'data', 'demo', 'doctor', 'pretrain'])
def test_every_command_has_help_with_an_example(command):
    done = cae_bench(command, '--help')
    assert done.returncode == 0
    assert 'Example' in done.stdout or command == 'data'


def test_help_and_tables_import_neither_torch_nor_mmengine():
    code = (
        'import sys; from cae_bench import cli; import cae_bench.results; '
        'sys.exit(any(m in sys.modules for m in ("torch", "mmengine", "mmcv", "timm")))'
    )
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


def test_the_package_lists_its_api_without_importing_torch():
    code = (
        'import sys, cae_bench; names = set(dir(cae_bench)); '
        'assert {"run", "load_backbone", "load_records", "checkpoints", "__version__"} == set(cae_bench.__all__) <= names; '
        'assert "torch" not in sys.modules; from cae_bench import *; assert callable(run) and load_backbone'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_doctor_names_every_package_and_measures_whether_bfloat16_pays():
    done = cae_bench('doctor')
    assert done.returncode == 0, done.stderr
    lines = {line.split('  ')[0]: line for line in done.stdout.splitlines()}
    assert {'torch', 'mmcv', 'mmseg', 'mmdet', 'hotcoco', 'mmcv ops', 'cpu'} <= set(lines)
    gains = re.findall(r'([0-9.]+)x as fast', lines['--amp bf16'])  # within the two minutes of this call
    assert len(gains) == 2 and lines['--amp bf16'].endswith(('worth it', 'no gain'))


def without(modules: list[str], *arguments: str):
    """A command where these packages are not installed."""
    code = f"""
import sys
from importlib import metadata
absent, version = {modules!r}, metadata.version
def found(name):
    if name in absent or name.removeprefix('onedl-') in absent:
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = found
for name in absent:
    sys.modules[name] = None
from cae_bench.cli import main
sys.argv = ['cae-bench', *{list(arguments)!r}]
main()
"""
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize('absent', [['mmcv', 'mmcv-lite'], ['torch', 'torchvision'], ['timm', 'hotcoco']])
def test_doctor_names_what_is_missing_with_its_remedy_and_goes_on_with_the_rest(absent):
    done = without(absent, 'doctor')
    assert done.returncode == 0, done.stderr
    lines = {line.split('  ')[0]: line for line in done.stdout.splitlines()}
    assert re.search(f'missing +install it: pip install (onedl-)?{absent[0]}$', lines[absent[0]])
    assert {'pyarrow', 'mmcv ops', '--amp bf16'} <= set(lines) and lines['pyarrow'].endswith('ok (pyarrow)')
    assert ('unknown: ' in lines['mmcv ops']) == (absent[0] != 'timm')
    assert ('unknown: ' in lines['--amp bf16']) == (absent[0] == 'torch')


def test_a_command_that_lacks_a_package_names_doctor():
    done = without(['torch'], 'inspect', 'random:vit-tiny')
    assert done.returncode == 1 and done.stderr.count('\n') == 1
    assert '`cae-bench doctor` lists what is missing' in done.stderr and 'torch' in done.stderr


@pytest.mark.parametrize(
    'task, says',
    [
        ('cifar10/linaer', "no protocol named 'linaer'. Did you mean linear"),
        ('cifar10', 'A task is <dataset>/<protocol>'),
    ],
)
def test_a_misspelt_task_is_told_the_nearest_names(task, says):
    assert says in refused('run', 'random:vit-tiny', '--tasks', task)


def test_an_unknown_suite_is_told_the_nearest_names():
    assert 'cae_paper' in refused('table', '--suite', 'cae_papr')


def test_a_data_set_without_folder_names_the_option(tmp_path):
    said = refused(
        'run', 'random:vit-tiny', '--recipe', 'mini', '--tasks', 'cifar10/knn', '--data', f'cifar={tmp_path}'
    )
    assert '--data cifar10=DIR' in said and 'Did you mean cifar?' in said


def test_a_missing_checkpoint_and_a_missing_folder_are_named(tmp_path):
    assert 'nowhere.pth' in refused('inspect', tmp_path / 'nowhere.pth')
    said = refused('run', 'random:vit-tiny', '--recipe', 'mini', '--tasks', 'x/knn', '--data', f'x={tmp_path}/gone')
    assert f'{tmp_path}/gone' in said


@pytest.mark.parametrize(
    'name, content',
    [
        ('mine.py', ''),
        ('mine.py', 'model = ('),
        ('mine.py', '\x00'),
        ('mine.py', 'raise RuntimeError("no")'),
        ('mine', ''),
    ],
)
def test_a_file_that_is_no_pretraining_config_is_named(name, content, tmp_path):
    from cae_bench.commands import pretrain_config

    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=f'{tmp_path / name} (is no config|has no model)'):
        pretrain_config.read(tmp_path / name, pretrain_config.PretrainOptions())


def test_a_table_to_check_that_does_not_exist_is_named(tmp_path):
    said = refused('table', '--results', tmp_path, '--suite', 'cae_paper', '--check', tmp_path / 'gone.md')
    assert f'--check {tmp_path}/gone.md: no such file' in said


@pytest.mark.parametrize('command', ['make', 'check'])
def test_every_command_below_data_has_an_example(command):
    assert 'Example: cae-bench data' in cae_bench('data', command, '--help').stdout


def test_an_unknown_option_value_lists_the_choices():
    assert 'paper' in refused('run', 'random:vit-tiny', '--tasks', 'a/knn', '--data', 'a=.', '--recipe', 'tiny')
    assert '--shorten 0' in refused('run', 'random:vit-tiny', '--tasks', 'in1k/knn', '--dry-run', '--shorten', '0')
    assert 'cpu or cuda' in refused('run', 'random:vit-tiny', '--device', 'tpu')
    assert 'KEY=VALUE' in refused('run', 'random:vit-tiny', '--cfg-options', 'max_iters')


def test_inspect_tells_programs_and_people_the_same(tmp_path):
    shown = cae_bench('inspect', 'random:vit-small')
    told = json.loads(cae_bench('inspect', 'random:vit-small', '--json').stdout)
    assert told['arch'] == 'vit-small' and told['spec']['num_heads'] == 12  # CAE's small has 12 heads, not 6
    assert 'vit-small' in shown.stdout


def test_ls_lists_tasks_suites_and_published_numbers():
    assert 'linear' in cae_bench('ls', 'tasks').stdout
    assert 'cae_paper' in cae_bench('ls', 'suites').stdout
    assert 'Atten4Vis/CAE' in cae_bench('ls', 'published').stdout
    assert 'tasks' in refused('ls', 'taks')


def test_a_table_of_published_numbers_needs_no_results(tmp_path):
    done = cae_bench('table', '--suite', 'cae_paper', '--format', 'csv', cwd=tmp_path)
    assert done.returncode == 0
    assert any(line.startswith('CAE,ViT-B/16,1600') and '70.3' in line for line in done.stdout.splitlines())


def test_check_refuses_a_file_that_is_not_the_table(tmp_path):
    table = cae_bench('table', '--suite', 'cae_paper', '--results', tmp_path).stdout
    kept = tmp_path / 'README.md'
    kept.write_text(table)
    assert cae_bench('table', '--suite', 'cae_paper', '--results', tmp_path, '--check', kept).returncode == 0
    kept.write_text(table.replace('70.3', '71.3'))
    assert 'README.md is not the table' in refused(
        'table', '--suite', 'cae_paper', '--results', tmp_path, '--check', kept
    )


def test_an_error_inside_a_loader_worker_is_told_by_the_last_line_of_its_traceback():
    from cae_bench.runs.failures import one_line

    wrapped = (
        'Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n'
        '  File "fetch.py", line 5\nRuntimeError: no room\n'
    )
    assert one_line(RuntimeError(wrapped)) == one_line(RuntimeError('no room')) == 'RuntimeError: no room'
