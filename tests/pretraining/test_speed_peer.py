"""The peer of the speed measurement computes what our CAE computes, to the last gradient."""

import sys
from pathlib import Path

import pytest
import torch

SPEED = Path(__file__).resolve().parents[2] / 'benchmarks/speed'


@pytest.fixture(scope='module')
def measurement():
    sys.path.insert(0, str(SPEED))
    import pretrain

    yield pretrain
    sys.path.remove(str(SPEED))


def test_the_literal_forward_gives_our_losses_and_gradients(measurement):
    torch.manual_seed(0)
    a = measurement.ARCHS['tiny']
    model = measurement.ours(a)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02 * torch.randn_like(p))
    peer = measurement.LiteralCAE(**a)
    peer.load_state_dict(model.released_state_dict())
    images, mask, ids, hidden = measurement.batch(a, 3, 'cpu')
    mine = model.eval().losses(images, mask, ids, hidden)
    theirs = peer.eval().loss(images, mask, ids)
    torch.testing.assert_close(
        torch.stack([mine['loss_main'], mine['loss_align']]), torch.stack(theirs), rtol=1e-5, atol=1e-6
    )
    (mine['loss_main'] + mine['loss_align']).backward()
    sum(theirs).backward()
    other = dict(peer.named_parameters())
    for name, p in model.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(p.grad, other[name].grad, rtol=1e-3, atol=1e-5)


def test_the_report_holds_the_ratio_of_every_round(measurement):
    found = dict(
        arch='CAE-tiny',
        image=64,
        amp='bf16',
        batch=2,
        hardware='a CPU',
        torch='2',
        date='today',
        command='python',
        speed=dict(
            images_per_s=dict(ours=2.0, literal=1.0),
            ratio=2.0,
            ratios=[1.9, 2.0, 2.1],
            gflop_per_image=3.0,
            matmul_gflops=9.0,
            parameters_held=dict(ours=149e6, literal=235e6),
            share_of_matmul_rate=dict(ours=0.6, literal=0.3),
        ),
        memory={
            'tensors': dict(bytes=dict(ours=7e9, literal=10e9), ratio=0.7),
            'process': dict(bytes=dict(ours=8e9, literal=10e9), ratio=0.8),
        },
        pixels=dict(images_per_s_per_core=200.0, jpeg_bytes=84000, workers_for_5000=25),
    )
    text = measurement.markdown(found)
    assert '| images/s | 2.00 | 1.00 | **2.00x** |' in text and '1.90, 2.00, 2.10' in text and '25 workers' in text
    assert '| peak memory of the step, process, GB | 8.00 | 10.00 | **0.80x** |' in text
