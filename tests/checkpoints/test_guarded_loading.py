"""Whatever process has cae_bench imported reads checkpoints through mmengine without running them."""

import subprocess
import sys

import pytest

from cae_bench.checkpoints.pointer import pointed
from cae_bench.errors import CheckpointError

IMPORTS = {
    'cae_bench first': 'import cae_bench, sys; assert "torch" not in sys.modules and "mmengine" not in sys.modules',
    'registry by scope': 'from mmengine.registry import MODELS, DefaultScope; '
    'DefaultScope.get_instance("a", scope_name="cae_bench"); MODELS.switch_scope_and_registry("cae_bench")',
    'mmengine first': 'from mmengine.runner import Runner, load_checkpoint; import cae_bench.registry',
}
WAYS = """
import os, sys, torch
from torch.utils.data import DataLoader
from mmengine.model import BaseModel
from mmengine.runner import Runner
folder = sys.argv[1]

class Bomb:
    def __reduce__(self):
        return os.system, (f'touch {folder}/proof',)

class Net(BaseModel):
    def __init__(self, init_cfg=None, **settings):
        super().__init__(init_cfg=init_cfg)
        self.linear = torch.nn.Linear(1, 1)
    def forward(self, inputs, mode='tensor'):
        return {'loss': self.linear(torch.ones(1, 1)).sum()}

def runner(**more):
    return Runner(Net(more.pop('init_cfg', None)), folder + '/work', DataLoader([1]), log_level='ERROR',
                  train_cfg=dict(by_epoch=True, max_epochs=1), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                  default_scope='mmengine', experiment_name=str(len(more)) + str(os.getpid()), **more)

def inferencer():
    from mmengine.config import Config
    from mmseg.apis import init_model
    from mmseg.registry import MODELS
    MODELS.register_module(module=Net)
    init_model(Config(dict(model=dict(type='Net'), default_scope='mmseg')), bomb, device='cpu')

bomb = folder + '/bomb.pth'
torch.save({'state_dict': {}, 'meta': Bomb()}, bomb)
ways = dict(load_from=lambda: runner(load_from=bomb).train(), resume=lambda: runner(load_from=bomb, resume=True).train(),
            pretrained=lambda: Net(dict(type='Pretrained', checkpoint=bomb)).init_weights(), inferencer=inferencer)
if sys.argv[2] != 'registry by scope':
    del ways['inferencer']                   # mmseg takes ten seconds to import, and comes after either
for name, way in ways.items():
    try:
        way()
    except Exception as error:
        print(name, type(error).__name__, error)
print('proof', os.path.exists(folder + '/proof'))
"""


@pytest.mark.parametrize('order', IMPORTS)
def test_mmengine_refuses_a_hostile_file_in_whichever_order_it_is_imported(order, tmp_path):
    command = [sys.executable, '-c', IMPORTS[order] + '\n' + WAYS, str(tmp_path), order]
    done = subprocess.run(command, capture_output=True, text=True)
    assert 'proof False' in done.stdout, done.stderr[-2000:]
    ways = ('load_from', 'resume', 'pretrained') + ('inferencer',) * (order == 'registry by scope')
    for way in ways:
        assert (
            f'{way} CheckpointError {tmp_path}/bomb.pth was not loaded: its pickle asks for posix.system' in done.stdout
        )


def test_the_same_files_run_code_in_a_process_without_cae_bench(tmp_path):
    done = subprocess.run([sys.executable, '-c', WAYS, str(tmp_path), 'mmengine first'], capture_output=True, text=True)
    assert 'proof True' in done.stdout, done.stderr[-2000:]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            'https://example.org/a.pth',
            r"names the address 'https://example\.org/a\.pth', and only a file of its own folder",
        ),
        ('open-mmlab://resnet50', 'names the address'),
        ('s3://bucket/a.pth', 'names the address'),
        ('gone.pth', r'names gone\.pth, which is gone'),
        ('../outside.pth', r'names outside\.pth, which is gone'),
        ('/dev/zero', 'names zero, which is gone'),
        ('', 'names nothing, which is gone'),
        ('..', r'names \.\., which is gone'),
        ('a\0b', 'names a.b, which is gone'),
        ('last_checkpoint', 'names last_checkpoint, which is gone'),
    ],
)
def test_a_pointer_names_a_file_of_its_folder_or_is_refused(text, message, tmp_path):
    (tmp_path / 'outside.pth').touch()
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work/last_checkpoint').write_text(text)
    with pytest.raises(CheckpointError, match=rf'work/last_checkpoint {message}'):
        pointed(tmp_path / 'work')
    from mmengine.runner import find_latest_checkpoint

    with pytest.raises(CheckpointError, match=message):
        find_latest_checkpoint(str(tmp_path / 'work'))


def test_a_moved_folder_goes_on_from_its_own_file(tmp_path):
    (tmp_path / 'epoch_1.pth').touch()
    (tmp_path / 'last_checkpoint').write_text('/where/it/was/epoch_1.pth\n')
    assert pointed(tmp_path) == tmp_path / 'epoch_1.pth'
    assert pointed(tmp_path / 'nothing') is None
