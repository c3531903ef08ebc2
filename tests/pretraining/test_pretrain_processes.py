"""How processes find each other, and what is asked of the machine."""

import builtins
import os
import stat

import pytest
import torch

from cae_bench.distributed import cpu_processes
from cae_bench.distributed import launchers as launch
from cae_bench.errors import ConfigError
from cae_bench.pretraining import recipe as pretrain_recipe
from cae_bench.pretraining.log_hook import PretrainLog, _duration
from cae_bench.pretraining.loop import step_seed


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """The variables of srun for the second of four tasks on two nodes, and a scontrol that names the nodes."""
    script = tmp_path / 'scontrol'
    script.write_text('#!/bin/sh\necho node07\necho node08\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, 'x')  # so that it is absent again afterwards
        monkeypatch.delenv(name)
    for name, value in dict(NODELIST='node[07-08]', PROCID='1', NTASKS='4', LOCALID='1', JOB_ID='12345').items():
        monkeypatch.setenv(f'SLURM_{name}', value)


def test_slurm_without_gpus_is_joined_through_gloo_at_the_first_node(slurm, monkeypatch):
    joined = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.distributed, 'init_process_group', joined.append)
    config = cpu_processes.join('slurm')
    assert joined == ['gloo'] and config['model_wrapper_cfg']['device_ids'] is None
    told = {name: os.environ[name] for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')}
    assert told == dict(RANK='1', WORLD_SIZE='4', LOCAL_RANK='1', MASTER_ADDR='node07', MASTER_PORT='31845')


def test_one_process_and_gpus_are_left_to_mmengine(monkeypatch):
    assert cpu_processes.join('none') == {}
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert cpu_processes.join('torchrun') == {}


def test_a_launcher_without_its_variables_is_explained(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    with pytest.raises(ConfigError, match='WORLD_SIZE is not set; start through torchrun'):
        launch.world_size('torchrun')
    with pytest.raises(ConfigError, match='--launcher mpi: choose one of none, torchrun, slurm'):
        launch.world_size('mpi')


def test_a_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(ConfigError, match='batch=10 cannot be shared by 4 processes'):
        pretrain_recipe.split_batch(pretrain_recipe.Recipe(data='own', batch=10, lr=1.0, epochs=1), 4)


def test_tensorboard_is_asked_for_by_name_where_it_is_missing(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(('torch.utils.tensorboard', 'tensorboard')):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ConfigError, match='pip install tensorboard'):
        PretrainLog('run', tensorboard=True)


def test_no_two_processes_or_steps_draw_alike():
    seeds = {step_seed(seed, rank, step) for seed in (0, 1) for rank in range(64) for step in (0, 1, 500_000)}
    assert len(seeds) == 2 * 64 * 3


@pytest.mark.parametrize('seconds, text', [(90, '1.5 min'), (7200, '2.0 h'), (3 * 86400, '3.0 days')])
def test_time_left_is_said_in_a_unit_one_can_plan_with(seconds, text):
    assert _duration(seconds) == text
