"""mmengine's own loaders, which fall back to a full unpickler, are made to read safely; real runs still resume."""

import io
import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner, checkpoint
from torch.utils.data import DataLoader

from cae_bench.checkpoints import CheckpointError, guard_mmengine, safe_load


class Bomb:
    def __init__(self, proof):
        self.proof = str(proof)

    def __reduce__(self):
        return os.system, (f'touch {self.proof}',)


@pytest.fixture(autouse=True)
def guarded():
    guard_mmengine()
    guard_mmengine()  # twice does no harm


@pytest.mark.parametrize(
    'how', ['load_checkpoint', 'CheckpointLoader', '_load_checkpoint', 'prefix', '_safe_torch_load', 'unsafe']
)
@pytest.mark.parametrize('legacy', [False, True])
def test_a_hostile_file_is_refused_by_every_way_into_mmengine(how, legacy, tmp_path):
    path, proof = str(tmp_path / 'bomb.pth'), tmp_path / 'proof'
    content = {'state_dict': {'a.weight': torch.zeros(1)}, 'meta': Bomb(proof)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    ways = {
        'load_checkpoint': lambda: checkpoint.load_checkpoint(torch.nn.Linear(1, 1), path, map_location='cpu'),
        'CheckpointLoader': lambda: checkpoint.CheckpointLoader.load_checkpoint(path),
        '_load_checkpoint': lambda: checkpoint._load_checkpoint(path),
        'prefix': lambda: checkpoint._load_checkpoint_with_prefix('a', path),
        '_safe_torch_load': lambda: checkpoint._safe_torch_load(io.BytesIO((tmp_path / 'bomb.pth').read_bytes())),
        'unsafe': lambda: checkpoint._safe_torch_load(path, weights_only=False),
    }
    with pytest.raises(CheckpointError, match='system, which could run code'):
        ways[how]()
    assert not proof.exists()


def test_a_hostile_download_is_refused(tmp_path, monkeypatch):
    proof = tmp_path / 'proof'
    (tmp_path / 'hub').mkdir()
    torch.save({'meta': Bomb(proof)}, tmp_path / 'hub/bomb.pth')
    with pytest.raises(Exception, match='system'):
        checkpoint.load_from_http('https://localhost/bomb.pth', model_dir=str(tmp_path / 'hub'))  # in its cache
    assert not proof.exists()


def test_a_missing_file_is_still_a_file_not_found_error():
    with pytest.raises(FileNotFoundError):
        checkpoint.CheckpointLoader.load_checkpoint('nowhere.pth')


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        loss = self.linear(torch.stack(list(inputs))).square().mean()
        return {'loss': loss} if mode == 'loss' else loss


def run(work_dir, epochs, **more):
    data = DataLoader([torch.ones(2) * i for i in range(4)], batch_size=2, collate_fn=lambda batch: {'inputs': batch})
    runner = Runner(
        Tiny(),
        str(work_dir),
        data,
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        log_level='ERROR',
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        default_scope='mmengine',
        param_scheduler=dict(type='CosineAnnealingLR', T_max=4),
        cfg=Config(dict(model=dict(type='Tiny'))),
        experiment_name=f'{work_dir.name}-{epochs}',
        **more,
    )
    runner.train()
    return runner


def test_what_a_runner_writes_is_read_back_and_resumes(tmp_path):
    first = run(tmp_path, 1)
    content = safe_load.read(tmp_path / 'epoch_1.pth')
    assert {'meta', 'state_dict', 'message_hub', 'optimizer', 'param_schedulers'} <= set(content)
    second = run(tmp_path, 2, resume=True)
    assert second.epoch == 2 and second.iter == 2 * first.iter
    history = second.message_hub.get_scalar('train/loss')
    assert len(history.data[0]) == 4 and history.mean() >= 0  # two epochs of two steps: the history went on


def test_a_runners_file_is_read_without_mmengine_by_a_room_that_imports_torch_alone(tmp_path):
    run(tmp_path, 1)
    code = (
        'import sys; from cae_bench.checkpoints import safe_load; content = safe_load.read(sys.argv[1]); '
        'print(sorted(content["state_dict"]), [m for m in ("mmengine", "timm", "scipy") if m in sys.modules])'
    )
    command = [sys.executable, '-c', code, str(tmp_path / 'epoch_1.pth')]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['linear.bias', 'linear.weight'] []"
