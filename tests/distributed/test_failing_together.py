"""An error in one of several processes ends the launch at once; one that meets all of them does not."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from frozen_runs import draw_images
from torch.distributed import HashStore

from cae_bench.distributed import failing_together


@pytest.mark.parametrize('came, go_on', [(2, True), (1, False)])
def test_processes_go_on_where_all_of_them_failed(monkeypatch, came, go_on):
    store = HashStore()
    monkeypatch.setattr(failing_together, 'launch_store', lambda: store)
    monkeypatch.setattr(failing_together, 'get_world_size', lambda: 2)
    monkeypatch.setattr(failing_together, '_errors', iter([0] * came))
    monkeypatch.setattr(failing_together, 'PATIENCE', 0.5)
    with ThreadPoolExecutor(came) as processes:
        assert [p.result() for p in [processes.submit(failing_together.all_failed) for _ in range(came)]] == [
            go_on
        ] * came


def test_a_process_alone_always_goes_on():
    assert failing_together.all_failed()


def test_an_image_that_one_process_cannot_decode_ends_it_and_is_named(tmp_path):
    data = draw_images(tmp_path / 'images')
    bad = data / 'val/class1/3.png'  # the twelfth image: that of the second process
    bad.write_bytes(bad.read_bytes()[:40])
    command = [
        'run',
        'random:vit-32x2x2',
        '--recipe',
        'mini',
        '--device',
        'cpu',
        '--tasks',
        'own/knn',
        '--launcher',
        'torchrun',
        '--data',
        f'own={data}',
        '--results',
        str(tmp_path),
    ]
    for key in ('num_workers', 'persistent_workers'):
        command += ['--cfg-options', f'train_dataloader.{key}=0', '--cfg-options', f'val_dataloader.{key}=0']
    code = f"""
import sys
from cae_bench.distributed import failing_together
failing_together.PATIENCE = 1.
sys.argv[1:] = {command!r}
from cae_bench.cli import main
main()"""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    both = [
        subprocess.Popen(
            [sys.executable, '-c', code],
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                'OMP_NUM_THREADS': '1',
                'RANK': str(rank),
                'LOCAL_RANK': str(rank),
                'WORLD_SIZE': '2',
                'MASTER_ADDR': '127.0.0.1',
                'MASTER_PORT': port,
            },
        )
        for rank in range(2)
    ]
    try:
        said = both[1].communicate(timeout=120)[1]
        assert both[1].returncode == 1
        assert 'val/class1/3.png is no readable image' in said and 'The launch ends here' in said
    finally:
        for process in both:
            process.kill()
            process.wait()
