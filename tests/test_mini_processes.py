"""Every mini recipe on two processes, from the command line to the record."""

import json
import os
import socket
import subprocess
import sys

from cae_bench.datasets.scenes.make import make_scenes

BATCH = {'finetune': 24, 'upernet': 8, 'linear_seg': 8, 'mask_rcnn': 4}


def test_mini_recipes_run_on_two_processes_and_keep_their_batch(tmp_path):
    scenes = make_scenes(tmp_path / 'scenes', num_train=48, num_val=6, size=64)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    tasks = ['linear', 'attentive', *BATCH]
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--nproc-per-node',
            '2',
            '--master-port',
            port,
            '-m',
            'cae_bench',
            'run',
            'random:vit-32x4x2',
            '--recipe',
            'mini',
            '--tasks',
            ','.join(f'scenes/{t}' for t in tasks),
            '--data',
            f'scenes={scenes}',
            '--results',
            str(tmp_path / 'results'),
            '--shorten',
            '0.006',
            '--device',
            'cpu',
            '--launcher',
            'torchrun',
        ],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    records = {
        r['protocol']: r for r in (json.loads(p.read_text()) for p in (tmp_path / 'results/measured').rglob('*.json'))
    }
    assert sorted(records) == sorted(tasks) and {r['hardware']['processes'] for r in records.values()} == {2}
    for protocol, batch in BATCH.items():
        config = records[protocol]['config']
        assert config['train_dataloader']['batch_size'] == batch // 2
        assert f'scenes/{protocol}: batch {batch}; here: 2 x {batch // 2}' in done.stderr
    assert 'linear: published 1 x 32; here 2 processes x 16' in done.stderr
