"""SIGTERM, as schedulers send it: a checkpoint, a line, exit code 143; the same command goes on to the same end."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import children
import pytest

from cae_bench.datasets.scenes.make import make_scenes

UPERNET = {
    'train_cfg.max_iters': 8,
    'train_cfg.val_interval': 8,
    'train_dataloader.batch_size': 2,
    'param_scheduler.0.end': 2,
    'param_scheduler.1.begin': 2,
    'param_scheduler.1.end': 8,
    'default_hooks.checkpoint.interval': 100,
    'train_dataloader.num_workers': 2,
}
LINEAR = {
    'train_dataloader.batch_size': 8,
    'model.probes.linear.batch_size': 16,
    'model.probes.linear.bn_group': 16,
    'train_dataloader.num_workers': 2,
}


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=48, num_val=8, size=64)


def begin(*command, slow: float = 0, group: bool = False):
    """The command line in a process of its own; `slow`: seconds that every update takes longer."""
    # Lines that slow the loops down, in the process that trains: the signal must come while it does.
    patch = (
        f'import time; from mmengine.hooks import IterTimerHook as H; before = H._before_iter; '
        f'H._before_iter = lambda *a, **k: (time.sleep({slow}), before(*a, **k))[1]; '
        if slow
        else ''
    )
    code = f'{patch}import sys; from cae_bench.cli import main; sys.argv[0] = "cae-bench"; main()'
    return subprocess.Popen(
        [sys.executable, '-X', 'faulthandler', '-c', code, *map(str, command)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=group,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )


def options(values: dict) -> list[str]:
    return [part for key, value in values.items() for part in ('--cfg-options', f'{key}={value}')]


def command(scenes, results, task, values) -> list[str]:
    return [
        'run',
        'random:vit-48x2x3',
        '--recipe',
        'mini',
        '--device',
        'cpu',
        '--tasks',
        f'scenes/{task}',
        '--data',
        f'scenes={scenes}',
        '--results',
        results,
        *options(values),
    ]


def run_to_the_end(folder, *arguments) -> str:
    """What the command line prints, in a child that nobody stops and that must succeed."""
    folder.mkdir(exist_ok=True)
    log = folder / 'output.txt'
    children.finish(children.start(children.cae_bench, *arguments, log=log, env={'OMP_NUM_THREADS': '1'}), log)
    return log.read_text()


def record_of(results) -> dict:
    return json.loads(next((results / 'measured').rglob('*.json')).read_text())


@pytest.fixture(scope='module')
def undisturbed(scenes, tmp_path_factory):
    """(task, values) -> the record of a run that nobody stopped; each is made once."""
    made = {}

    def of(task, values):
        if task not in made:
            folder = tmp_path_factory.mktemp(task)
            run_to_the_end(folder, *command(scenes, folder, task, values))
            made[task] = record_of(folder)
        return made[task]

    return of


def said_by(process) -> str:
    """What is left of its standard error, once it has ended; one that hangs shows where."""
    try:
        return process.communicate(timeout=500)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        return process.communicate(timeout=60)[1]


def wait_for(process, folder, name: str) -> None:
    """Until a file of this name lies below the folder: mmengine's log folder, when a training begins."""
    deadline = time.monotonic() + 200
    while not any(folder.rglob(name)):
        time.sleep(0.1)
        assert time.monotonic() < deadline and process.poll() is None, said_by(process)


@pytest.mark.parametrize(
    'task, values, group', [('upernet', UPERNET, False), ('upernet', UPERNET, True), ('linear', LINEAR, True)]
)
def test_a_run_that_is_sent_sigterm_leaves_a_checkpoint_and_goes_on_from_there(
    task, values, group, scenes, undisturbed, tmp_path
):
    """group: all its processes get the signal at once, loader workers too, as under SLURM."""
    process = begin(*command(scenes, tmp_path, task, values), slow=0.7, group=group)
    wait_for(process, tmp_path, 'vis_data')
    time.sleep(2)  # into the updates
    (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
    said = said_by(process)
    assert process.returncode == 143, said
    stopped = re.search(
        r'Stopped by SIGTERM after iteration (\d+) of (\d+), checkpoint (\S+)\. The same command goes', said
    )
    assert stopped and 'Traceback' not in said, said
    assert stopped[3].endswith(f'iter_{stopped[1]}.pth') and os.path.isfile(stopped[3])
    run_to_the_end(tmp_path, *command(scenes, tmp_path, task, values))
    resumed, whole = record_of(tmp_path), undisturbed(task, values)
    assert resumed['extra']['resumed'] == [int(stopped[1])] and 'resumed' not in whole['extra']
    assert resumed['metrics'] == whole['metrics']


def test_pretraining_that_is_sent_sigterm_goes_on_to_the_same_losses(scenes, tmp_path):
    ends = {}
    for where in ('a', 'b'):
        arguments = (
            'pretrain',
            'mae_vit-tiny_scenes',
            '--data',
            f'scenes={scenes}',
            '-o',
            tmp_path / where,
            '--device',
            'cpu',
            *options({'pretrain.batch': 8, 'pretrain.updates': 12, 'pretrain.warmup': 0, 'pretrain.workers': 1}),
        )
        if where == 'a':
            process = begin(*arguments, slow=0.5, group=True)
            wait_for(process, tmp_path / 'a', 'vis_data')
            time.sleep(2)
            os.killpg(process.pid, signal.SIGTERM)
            said = said_by(process)
            assert process.returncode == 143 and 'Stopped by SIGTERM after update' in said, said
            assert 'the same command' in said.lower()
        ends[where] = run_to_the_end(tmp_path / where, *arguments).strip().splitlines()[-1]
    import torch

    a, b = (torch.load(path, weights_only=False)['model'] for path in ends.values())
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_sigterm_before_any_training_says_so_and_ends_with_143(scenes, tmp_path):
    process = begin(*command(scenes, tmp_path, 'upernet', UPERNET | {'train_cfg.max_iters': 1000000}))
    time.sleep(1.5)  # while packages are still imported
    process.send_signal(signal.SIGTERM)
    said = said_by(process)
    assert process.returncode == 143 and 'Stopped by SIGTERM' in said
