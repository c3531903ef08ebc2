"""A pass killed in the middle of an epoch, and a pass spread over processes, end where an undisturbed one ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import children
import frozen_child
import pytest
import torch
from frozen_runs import draw_images


def start(mode, data, work_dir, *more, **env):
    """frozen_child.main in a child process, and where it prints."""
    work_dir.mkdir(exist_ok=True)
    log = work_dir / 'output.txt'
    return children.start(frozen_child.main, mode, data, work_dir, *more, log=log, env=env), log


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return draw_images(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def undisturbed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    children.finish(*start('whole', data, folder))
    return torch.load(folder / 'end.pth', weights_only=False)


def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return str(free.getsockname()[1])


def same(a, b, **tolerance):
    assert a['weights'].keys() == b['weights'].keys()
    for name, tensor in a['weights'].items():
        torch.testing.assert_close(tensor, b['weights'][name], msg=lambda m, n=name: f'{n}: {m}', **tolerance)


def test_a_run_killed_in_the_middle_of_an_epoch_goes_on_to_the_same_weights(data, undisturbed, tmp_path):
    process, _ = start('slow', data, tmp_path)
    deadline = time.monotonic() + 150
    while not (tmp_path / 'iter_7.pth').is_file() and time.monotonic() < deadline and process.is_alive():
        time.sleep(0.05)
    time.sleep(0.3)  # into the iterations after the checkpoint
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL and not (tmp_path / 'end.pth').exists()
    children.finish(*start('resume', data, tmp_path))
    end = torch.load(tmp_path / 'end.pth', weights_only=False)
    assert end['first_iter'] == 7, 'it must go on where the checkpoint was written, in the middle of an epoch of 5'
    same(end, undisturbed, rtol=0, atol=0)
    assert end['scores'] == undisturbed['scores']
    assert end['curves'] == undisturbed['curves']


def end_of_two_processes(data, work_dir, *more):
    port = free_port()
    both = [
        start(
            'distributed',
            data,
            work_dir,
            *more,
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE='2',
            MASTER_PORT=port,
            MASTER_ADDR='127.0.0.1',
        )
        for rank in range(2)
    ]
    try:
        for process in both:
            children.finish(*process)
    finally:
        for process, _ in both:
            process.kill()
    return torch.load(work_dir / 'end.pth', weights_only=False)


def test_two_processes_reach_the_weights_of_one(data, undisturbed, tmp_path):
    end = end_of_two_processes(data, tmp_path)
    same(end, undisturbed, rtol=1e-4, atol=1e-6)
    assert end['scores'] == pytest.approx(undisturbed['scores'])


def test_two_processes_share_a_batch_norm_group_where_a_step_has_only_one(data, tmp_path):
    (tmp_path / 'one').mkdir()
    children.finish(*start('whole', data, tmp_path / 'one', 16))
    one, two = (
        torch.load(tmp_path / 'one/end.pth', weights_only=False),
        end_of_two_processes(data, tmp_path / 'two', 16),
    )
    same(two, one, rtol=1e-4, atol=1e-6)
    assert two['scores'] == pytest.approx(one['scores'])
    assert two['curves'].keys() == one['curves'].keys() == {'linear', 'attentive', 'knn'}


def test_an_image_left_out_makes_two_processes_neither_wait_nor_differ_from_one(tmp_path):
    data = draw_images(tmp_path / 'images')  # 48: every one of them has its place in a step
    bad = data / 'train/class1/3.png'
    bad.write_bytes(bad.read_bytes()[:40])
    (tmp_path / 'one').mkdir()
    children.finish(*start('whole', data, tmp_path / 'one'))
    two = end_of_two_processes(data, tmp_path / 'two')
    one = torch.load(tmp_path / 'one/end.pth', weights_only=False)
    same(two, one, rtol=1e-4, atol=1e-6)
    assert two['scores'] == pytest.approx(one['scores'])


def test_torchrun_writes_each_record_once_with_the_score_of_one_process(data, tmp_path):
    options = [
        '-m',
        'cae_bench',
        'run',
        'random:vit-32x2x2',
        '--recipe',
        'mini',
        '--device',
        'cpu',
        '--tasks',
        'own/knn,own/linear',
        '--data',
        f'own={data}',
        '--cfg-options',
        *[f'{x}_dataloader.{key}=0' for x in ('train', 'val') for key in ('num_workers', 'persistent_workers')],
    ]
    launched = ['-m', 'torch.distributed.run', '--nproc-per-node', '2', '--master-port', free_port()]
    ends = {}
    for how in ([], launched):
        results = tmp_path / f'{len(how)}'
        done = subprocess.run(
            [sys.executable, *how, *options, '--results', str(results), '--launcher', 'torchrun' if how else 'none'],
            capture_output=True,
            text=True,
            timeout=400,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count('Measured by cae-bench') == 1
        records = [json.loads(p.read_text()) for p in sorted((results / 'measured').rglob('*.json'))]
        ends[len(how)] = [(r['task'], r['fingerprint'], r['metrics'], r['selection']['curve']) for r in records]
    one, two = ends.values()
    assert one == two and [task for task, *_ in one] == ['own/knn', 'own/linear']
