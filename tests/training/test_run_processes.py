"""Two processes train to the weights of one that accumulates, mixup, cutmix and drop path included."""

import socket

import torch
from dense_runs import end, finish, start

from cae_bench.datasets.scenes.make import make_scenes


def in_two_processes(scenes, folder):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    launch = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    ranks = [dict(launch, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
    both = [start('paper_finetune', scenes, folder, launcher='torchrun', env=env) for env in ranks]
    for child in both:
        finish(child)


def test_two_processes_reach_the_weights_of_one_that_accumulates(tmp_path):
    scenes = make_scenes(tmp_path / 'scenes', num_train=24, num_val=8, size=64)
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
    finish(start('paper_finetune', scenes, tmp_path / 'one'))
    in_two_processes(scenes, tmp_path / 'two')
    one, two = end(tmp_path / 'one'), end(tmp_path / 'two')
    assert one[1]['config']['train_cfg']['micro_batches'] == 2 and 'micro_batches' not in two[1]['config']['train_cfg']
    for name, tensor in one[0]['state_dict'].items():
        torch.testing.assert_close(
            tensor, two[0]['state_dict'][name], rtol=1e-3, atol=2e-5, msg=lambda m, name=name: f'{name}: {m}'
        )
    assert one[1]['metrics'] == two[1]['metrics']
