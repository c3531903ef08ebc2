"""Watching a folder: every checkpoint gets its record, whatever else lies there, and a finished training ends it."""

import json
import os
import shutil
import threading
import time

import pytest
from test_cli import cae_bench, refused

from cae_bench.checkpoints import load
from cae_bench.commands import demo
from cae_bench.commands import watch as watching
from cae_bench.commands.watch import watch
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.errors import ConfigError
from cae_bench.models.vit import ViT
from cae_bench.pretraining import checkpoint_files as pretrain_files
from cae_bench.runs.outcome import Outcome


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=24, num_val=8, size=64)


def write(path, seed: int, finished: bool = False, age: float = 60) -> None:
    """What pretraining leaves: weights, with an optimizer beside them until the end."""
    import torch

    torch.manual_seed(seed)
    spec = load('random:vit-32x2x2-p16').spec
    vit = ViT(spec=spec.to_dict())
    vit.init_weights()
    content = dict(model={f'encoder.{k}': v for k, v in vit.state_dict().items()}, spec=spec.to_dict())
    pretrain_files.save_weights(content if finished else dict(content, optimizer={}), path)
    os.utime(path, (time.time() - age,) * 2)


def models(results) -> list[str]:
    return sorted(json.loads(p.read_text())['model']['name'] for p in (results / 'measured').rglob('*.json'))


def test_every_file_of_a_finished_training_gets_its_row_and_what_is_no_checkpoint_is_named(scenes, tmp_path):
    folder = tmp_path / 'cae_tiny'
    write(folder / 'epoch-0001.pth', 1, age=90)
    (folder / 'epoch-0002.pth').write_bytes(b'PK truncated')
    os.utime(folder / 'epoch-0002.pth', (time.time() - 80,) * 2)
    write(folder / 'cae_tiny.pth', 2, finished=True)
    done = cae_bench(
        'run',
        folder,
        '--watch',
        '--tasks',
        'scenes/knn',
        '--data',
        f'scenes={scenes}',
        '--recipe',
        'mini',
        '--results',
        tmp_path,
    )
    assert models(tmp_path) == ['cae_tiny-cae_tiny', 'cae_tiny-epoch-0001']
    assert 'cae_tiny-epoch-0001' in done.stdout and 'cae_tiny-cae_tiny' in done.stdout  # a row each
    assert 'epoch-0002.pth' in done.stderr and done.returncode == 1


def test_a_file_that_appears_while_watching_is_evaluated(scenes, tmp_path):
    folder = tmp_path / 'run'
    write(folder / 'epoch-0001.pth', 1)
    late = threading.Timer(1.5, lambda: write(folder / 'run.pth', 2, finished=True, age=0))
    late.start()
    outcome = watch(
        folder, every=0.5, tasks=['scenes/knn'], data={'scenes': str(scenes)}, recipe='mini', results=tmp_path
    )
    assert [r.model.name for r in outcome.records] == ['run-epoch-0001', 'run-run'] and not outcome.failures


def test_bad_use_is_refused(scenes, tmp_path):
    with pytest.raises(ConfigError, match='is no folder'):
        watch(tmp_path / 'gone', tasks=['scenes/knn'])
    shutil.copytree(scenes, tmp_path / 'some')
    assert '--watch' in refused('run', tmp_path / 'some', '--tasks', 'scenes/knn', '--data', f'scenes={scenes}')
    write(tmp_path / 'run' / 'epoch-0001.pth', 1)
    with pytest.raises(ConfigError, match='--data scenes=DIR'):  # wrong for every file: told at once
        watch(tmp_path / 'run', tasks=['scenes/knn'], recipe='mini', results=tmp_path)


@pytest.mark.parametrize('refused_titles, code', [({'scenes/knn'}, 2), (set(), 1)])
def test_bad_input_alone_ends_a_watch_with_2_and_any_other_failure_with_1(tmp_path, monkeypatch, refused_titles, code):
    folder = tmp_path / 'run'
    (folder / 'a').mkdir(parents=True)
    (folder / 'broken.pth').write_bytes(b'PK truncated')
    os.utime(folder / 'broken.pth', (time.time() - 90,) * 2)
    write(folder / 'run.pth', 2, finished=True)
    real = watching.run
    monkeypatch.setattr(
        watching,
        'run',
        lambda path, **options: (
            real(path, **options)
            if 'broken' in path
            else Outcome(failures={'scenes/knn': 'said'}, refused=refused_titles)
        ),
    )
    outcome = watch(folder, every=0.1, tasks=['scenes/knn'], data={'scenes': str(tmp_path)}, results=tmp_path)
    assert set(outcome.failures) == {'run-broken', 'run-run scenes/knn'} and outcome.exit_code == code


@pytest.mark.parametrize('refused_titles, code', [({'scenes/knn'}, 2), (set(), 1)])
def test_bad_input_alone_ends_the_demo_with_2_and_any_other_failure_with_1(tmp_path, monkeypatch, refused_titles, code):
    weights = tmp_path / 'pretrained.pth'
    write(weights, 1, finished=True)
    monkeypatch.setattr('cae_bench.commands.pretrain.pretrain', lambda *args, **options: weights)
    monkeypatch.setattr(
        demo, 'run', lambda *args, **options: Outcome(failures={'scenes/knn': 'said'}, refused=refused_titles)
    )
    monkeypatch.setattr('cae_bench.datasets.scenes.make.make_scenes', lambda folder: folder)
    monkeypatch.setattr(demo, 'untrained', lambda spec: 'random:vit-32x2x2-p16')
    outcome = demo.run_demo(tmp_path)
    assert len(outcome.failures) == 2 and outcome.exit_code == code  # one of each encoder is enough


def test_a_demo_folder_that_cannot_be_made_is_bad_input(tmp_path):
    (tmp_path / 'file').write_text('')
    assert 'Name another one' in refused('demo', '--dir', tmp_path / 'file')
    assert 'Name another one' in refused('data', 'make', 'scenes', tmp_path / 'file/below')
