"""bfloat16 where a CPU only imitates it: said in a line with the remedy, once, for pretraining and for runs."""

import logging

import pytest
import torch
from torch import nn

from cae_bench.paths import shipped
from cae_bench.pretraining.optimizer import PretrainOptimWrapper
from cae_bench.runs.find import read_header
from cae_bench.runs.precision import check_device
from cae_bench.training import bfloat16

LINE = 'this CPU has no units for bfloat16 and imitates it, up to 20 times slower than fp32: use --amp fp32'


@pytest.fixture
def lines(monkeypatch, caplog):
    """Lines said so far, on a CPU without bfloat16 and without a GPU."""
    caplog.set_level(logging.INFO, 'cae_bench')
    monkeypatch.setattr(bfloat16, 'cpu_has_bfloat16', lambda: False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    bfloat16._say_imitated.cache_clear()
    return lambda: [record.message for record in caplog.records if record.name == 'cae_bench']


def start_pretraining(amp: str) -> None:
    PretrainOptimWrapper(torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1), amp)


def start_run(amp: str) -> None:
    check_device(read_header(shipped('configs') / 'knn/mini.py'), amp)


@pytest.mark.parametrize('start', [start_pretraining, start_run])
def test_imitated_bfloat16_is_said_once_with_the_remedy(lines, start):
    start('fp32')
    assert lines() == []
    start('bf16')
    start('bf16')
    assert lines() == [LINE]


@pytest.mark.parametrize('start', [start_pretraining, start_run])
@pytest.mark.parametrize('device', ['a CPU with bfloat16', 'a GPU'])
def test_nothing_is_said_where_bfloat16_is_real(lines, monkeypatch, start, device):
    if device == 'a GPU':
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    else:
        monkeypatch.setattr(bfloat16, 'cpu_has_bfloat16', lambda: True)
    start('bf16')
    assert lines() == []
