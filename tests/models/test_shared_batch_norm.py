"""Batch norms over two processes without GPUs are those of one process that sees all images."""

import multiprocessing
import os
import socket

import pytest
import torch
from torch import distributed, nn

from cae_bench.models.shared_batch_norm import SharedBatchNorm, share_batch_norms

SIZES = [(3, 4, 5, 5), (2, 4, 6, 2)]  # of the two processes: other numbers of images and of positions


def inputs():
    generator = torch.Generator().manual_seed(0)
    return [5 + 3 * torch.randn(*size, generator=generator) for size in SIZES]


def model(norm):
    torch.manual_seed(1)
    built = nn.Sequential(nn.Conv2d(4, 4, 1), norm(4))
    nn.init.normal_(built[1].weight)
    return built


def one_of_two(rank, port, folder):
    os.environ.update(RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    distributed.init_process_group('gloo')
    net = model(nn.SyncBatchNorm)
    weight = net[1].weight
    share_batch_norms(net)
    assert type(net[1]) is SharedBatchNorm and net[1].weight is weight
    out = net(inputs()[rank])
    (out**3).sum().backward()
    gradients = [p.grad for p in net.parameters()]
    for gradient in gradients:
        distributed.all_reduce(gradient)
    torch.save(dict(out=out.detach(), gradients=gradients, state=net.state_dict()), folder / f'{rank}.pth')


def test_outputs_gradients_and_running_statistics_of_two_processes_are_those_of_one(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    fork = multiprocessing.get_context('fork')
    children = [fork.Process(target=one_of_two, args=(rank, port, tmp_path)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]
    ends = [torch.load(tmp_path / f'{rank}.pth', weights_only=True) for rank in range(2)]

    plain = model(nn.BatchNorm1d)  # all positions as rows of one batch
    rows = torch.cat([plain[0](x).movedim(1, -1).flatten(0, 2) for x in inputs()])
    out = plain[1](rows)
    (out**3).sum().backward()
    both = torch.cat([end['out'].movedim(1, -1).flatten(0, 2) for end in ends])
    torch.testing.assert_close(both, out.detach(), rtol=1e-4, atol=1e-5)
    for end in ends:
        for ours, parameter in zip(end['gradients'], plain.parameters()):
            torch.testing.assert_close(ours, parameter.grad, rtol=1e-3, atol=1e-3)
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(end['state'][name], value, rtol=1e-5, atol=1e-6)


def test_in_evaluation_the_running_statistics_are_used_and_nobody_is_asked():
    norm = nn.SyncBatchNorm(3)
    norm.running_mean.fill_(2.0)
    shared = SharedBatchNorm(norm.eval())
    x = torch.randn(2, 3, 4, 4)
    assert not shared.training
    torch.testing.assert_close(shared(x), (x - 2) / (1 + norm.eps) ** 0.5)


@pytest.mark.parametrize('kind', [nn.BatchNorm2d, nn.LayerNorm])
def test_other_norms_stay_what_they_are(kind):
    net = nn.Sequential(nn.Sequential(kind(3)), nn.SyncBatchNorm(3))
    share_batch_norms(net)
    assert type(net[0][0]) is kind and type(net[1]) is SharedBatchNorm
