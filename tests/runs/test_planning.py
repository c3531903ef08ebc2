"""What a run plans: which settings make another fingerprint, what is already done, what no record could hold."""

import json
import os
import subprocess
import sys

import pytest

import cae_bench
from cae_bench import benchmark, checkpoints
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.errors import CaeBenchError
from cae_bench.runs.options import Options
from cae_bench.tasks import Task

TINY = 'random:vit-24x2x2'


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=40, num_val=8, size=64)


def planned(scenes, protocol, **cfg_options):
    options = Options(recipe='mini', cfg_options=cfg_options)
    (job,) = benchmark.resolve([Task('scenes', protocol)], checkpoints.load(TINY), {'scenes': str(scenes)}, options)
    return job, options


@pytest.mark.parametrize('protocol', ['knn', 'linear', 'finetune', 'upernet', 'mask_rcnn'])
def test_how_fast_the_data_are_read_moves_no_fingerprint_and_is_recorded(protocol, scenes):
    from cae_bench.runs.overrides import overrides_of

    speed = {
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'val_dataloader.num_workers': 7,
        'train_dataloader.pin_memory': True,
        'train_dataloader.prefetch_factor': None,
    }
    plain, fast = planned(scenes, protocol)[0], planned(scenes, protocol, **speed)
    assert fast[0].fingerprint == plain.fingerprint and overrides_of(fast[0].cfg, fast[1]) == speed
    assert fast[0].cfg.train_dataloader.num_workers == 0 and fast[0].cfg.val_dataloader.num_workers == 7
    other = planned(scenes, protocol, **speed, **{'train_dataloader.batch_size': 5})[0]
    assert other.fingerprint != plain.fingerprint


def test_models_of_one_file_name_have_work_folders_of_their_own(scenes, tmp_path):
    job, _ = planned(scenes, 'knn')
    folders = {benchmark.work_dir_of([job], name, tmp_path, seed=0) for name in ('a/b', 'a_b', 'a b')}
    assert len(folders) == 3 and all(folder.is_relative_to(tmp_path / 'work_dirs') for folder in folders)


def run_cli(*arguments, **kwargs):
    command = [
        sys.executable,
        '-m',
        'cae_bench',
        'run',
        *map(os.fsdecode, arguments),
        '--device',
        'cpu',
        '--recipe',
        'mini',
    ]
    return subprocess.run(command, capture_output=True, text=True, **kwargs)


@pytest.mark.parametrize(
    'change, message',
    [
        (
            dict(name='caf\udce9'),
            r'scenes/finetune: its record could not be written: "name": "caf\\udce9" is no UTF-8 text',
        ),
        (
            dict(dataset='my scenes'),
            r"my scenes/finetune: its record could not be written: dataset.name: 'my scenes' does not match"
            r'.*Change that name',
        ),
        (
            dict(cfg_options={'optim_wrapper.optimizer.weight_decay': float('nan')}),
            'weight_decay is nan: give a finite number',
        ),
    ],
)
def test_what_no_record_could_hold_is_refused_before_anything_is_computed(scenes, tmp_path, change, message):
    dataset = change.pop('dataset', 'scenes')
    for dry_run in (True, False):
        with pytest.raises(CaeBenchError, match=message):
            cae_bench.run(
                TINY,
                tasks=[f'{dataset}/finetune'],
                data={dataset: str(scenes)},
                results=tmp_path / 'r',
                recipe='mini',
                dry_run=dry_run,
                **change,
            )
    assert not (tmp_path / 'r').exists()


def test_a_data_folder_and_a_checkpoint_whose_names_are_no_text_are_refused_in_planning(scenes, tmp_path):
    odd = os.fsencode(tmp_path) + b'/sc\xe8nes'
    os.symlink(scenes, odd)
    done = run_cli(TINY, '--tasks', 'scenes/knn', '--data', b'scenes=' + odd, '--results', tmp_path / 'r')
    assert done.returncode == 2 and 'Traceback' not in done.stderr and not (tmp_path / 'r').exists()
    assert 'scenes/knn: its record could not be written: "data_root"' in done.stderr
    assert 'sc\\udce8nes" is no UTF-8 text. Rename that' in done.stderr


@pytest.mark.parametrize(
    'commit, torch, note',
    [
        (None, None, ''),
        ('0123456789abcdef', None, 'measured by commit 0123456789ab, this is '),
        ('0123456789abcdef', '1.13.1', '; by torch 1.13.1, this is '),
    ],
)
def test_a_skipped_record_of_other_code_or_another_torch_is_said_to_be_that(
    scenes, tmp_path, monkeypatch, commit, torch, note
):
    from cae_bench.runs import provenance

    lines = []
    monkeypatch.setattr(benchmark, 'say', lines.append)
    options = dict(tasks=['scenes/knn'], data={'scenes': str(scenes)}, results=tmp_path, recipe='mini', device='cpu')
    (record,) = cae_bench.run(TINY, **options).records
    (path,) = (tmp_path / 'measured').rglob('*.json')
    content = json.loads(path.read_text())
    content['git']['commit'] = commit or content['git']['commit']
    content['packages']['torch'] = torch or content['packages']['torch']
    path.write_text(json.dumps(content))
    cae_bench.run(TINY, **options)
    assert 'already done' in lines[-1] and note in lines[-1] and ('measured by' in lines[-1]) == bool(note)
    assert record.packages['torch'] == provenance.packages()['torch']
