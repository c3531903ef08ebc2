"""Runs of one command at once: one works, the others wait for it and find its record; pretraining refuses."""

import json
import os
import subprocess
import sys
import time

import pytest

from cae_bench import benchmark, checkpoints
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.runs.options import Options
from cae_bench.runs.work_lock import work_lock
from cae_bench.tasks import Task

HOLD = """import sys, time
from pathlib import Path
from cae_bench.runs.work_lock import work_lock
with work_lock(Path(sys.argv[1]), 'first'):
    print('held', flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=40, num_val=8, size=64)


def hold(folder) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'held\n'
    return process


def release(process) -> None:
    process.stdin.close()
    process.wait()


@pytest.fixture
def holder(tmp_path):
    process = hold(tmp_path / 'work')
    yield process
    release(process)


def command(scenes, results, *launch):
    return [
        sys.executable,
        *(launch or ['-m', 'cae_bench']),
        'run',
        'random:vit-24x2x2',
        '--recipe',
        'mini',
        '--tasks',
        'scenes/knn,scenes/finetune',
        '--data',
        f'scenes={scenes}',
        '--results',
        str(results),
        '--device',
        'cpu',
        '--shorten',
        '0.01',
        *(['--launcher', 'torchrun'] if launch else []),
    ]


def test_three_runs_of_one_command_leave_one_record_of_each_task_and_no_error(scenes, tmp_path):
    runs = [
        subprocess.Popen(command(scenes, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    lines = '\n'.join(said)
    assert lines.count('scenes/knn: starts') == lines.count('scenes/finetune: starts') == 1
    assert lines.count('already done') == 4
    assert len(list((tmp_path / 'measured').rglob('*.json'))) == 2


def test_a_second_run_says_who_is_at_work_and_waits(tmp_path, monkeypatch, holder):
    import cae_bench.runs.work_lock as module

    lines = []
    monkeypatch.setattr(module, 'say', lines.append)
    monkeypatch.setattr(module.time, 'sleep', lambda seconds: release(holder))
    with work_lock(tmp_path / 'work', 'second') as waited:
        assert waited
    assert len(lines) == 1 and lines[0].startswith(f'second: process {holder.pid} of {os.uname().nodename} (since 20')
    with work_lock(tmp_path / 'work', 'third') as waited:
        assert not waited
    assert json.loads((tmp_path / 'work/.lock').read_text())['pid'] == os.getpid()


def test_the_lock_of_a_killed_run_is_free_at_once(tmp_path, holder):
    holder.kill()
    holder.wait()
    with work_lock(tmp_path / 'work', 'second', wait=False) as waited:
        assert not waited


def test_pretraining_refuses_a_folder_that_another_run_is_at_work_in(scenes, tmp_path, holder):
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'cae_bench',
            'pretrain',
            'mae_vit-tiny_scenes',
            '--data',
            f'scenes={scenes}',
            '-o',
            str(tmp_path / 'work'),
            '--device',
            'cpu',
            '--cfg-options',
            'pretrain.batch=8',
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert f'{tmp_path}/work: process {holder.pid} of ' in done.stderr and 'another folder with -o' in done.stderr


def test_two_processes_of_one_launch_wait_together_and_then_share_the_lock(scenes, tmp_path):
    options = Options(recipe='mini')
    ckpt, data = checkpoints.load('random:vit-24x2x2'), {'scenes': str(scenes)}
    jobs = benchmark.resolve([Task('scenes', 'knn')], ckpt, data, options)
    first = hold(benchmark.work_dir_of(jobs, ckpt.name, tmp_path, 0))
    launch = ['-m', 'torch.distributed.run', '--nproc_per_node', '2', '--master_port', '29613', '-m', 'cae_bench']
    second = subprocess.Popen(
        command(scenes, tmp_path, *launch), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        said = ''
        while 'waits until that run is done' not in said:
            line = second.stderr.readline()
            assert line, said
            said += line
        assert f'scenes/knn: process {first.pid} of ' in said and not list((tmp_path / 'measured').rglob('*.json'))
        time.sleep(3)
        release(first)
        more = second.communicate(timeout=300)[1]
    finally:
        release(first)
        second.kill()
    assert second.returncode == 0, said + more
    assert more.count('scenes/knn: starts') == 1 and 'failed' not in more
    assert len(list((tmp_path / 'measured').rglob('*.json'))) == 2
