"""`cae-bench pretrain` from a folder of images to a checkpoint: resume, processes, numbers that break, bad input."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cae_bench import checkpoints, stopping
from cae_bench.commands.pretrain import pretrain
from cae_bench.commands.pretrain_config import PretrainOptions, read
from cae_bench.commands.pretrain_names import find, names
from cae_bench.errors import CheckpointError, ConfigError, DataError
from cae_bench.pretraining import checkpoint_files as pretrain_files
from cae_bench.pretraining import recipe as pretrain_recipe
from cae_bench.pretraining.log_hook import PretrainLog
from cae_bench.pretraining.optimizer import Diverged

CONFIG = """
model = dict(type='cae_bench.CAE', encoder=dict(embed_dims=16, num_layers=2, num_heads=2, patch_size=4, img_size=16),
             target=dict(type='cae_bench.RandomProjectionCodes', codes=16), regressor_depth=1, decoder_depth=1,
             decoder_num_heads=2)
view = dict(type='cae_bench.TwoViews', scale=(0.4, 1.0))
mask = dict(type='cae_bench.BlockMask', num_masked=8, min_block=2)
pretrain = dict(data='own', epochs=3, batch=8, lr=1e-3, warmup_epochs=1, workers=0, log_every=1)
"""
fork = multiprocessing.get_context('fork')


@pytest.fixture(scope='module')
def images(tmp_path_factory) -> str:
    """40 pictures in two classes, and 10 of a validation split."""
    root, rng = tmp_path_factory.mktemp('images'), np.random.default_rng(0)
    for split, number in (('train', 20), ('val', 5)):
        for label in ('a', 'b'):
            (root / split / label).mkdir(parents=True)
            for i in range(number):
                pixels = rng.integers(0, 255, (5, 6, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / label / f'{i}.png')
    return str(root)


@pytest.fixture
def config(tmp_path) -> str:
    path = tmp_path / 'tiny_own.py'
    path.write_text(CONFIG)
    return str(path)


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]


def curve(folder: Path) -> list[float]:
    return [row['loss'] for row in log(folder)]


def run(config: str, images: str, folder: Path, **options) -> Path:
    return pretrain(config, {'own': images}, folder, **{'save_minutes': None, **options})


def in_child(function, *args) -> multiprocessing.Process:
    child = fork.Process(target=function, args=args)
    child.start()
    return child


def test_a_folder_of_images_becomes_a_checkpoint_that_run_takes(config, images, tmp_path):
    file = run(config, images, tmp_path / 'out', knn=3, pictures=3)
    assert file == tmp_path / 'out/tiny_own.pth'
    ckpt = checkpoints.load(file)
    assert (ckpt.spec.family, ckpt.spec.num_heads, ckpt.spec.patch_size, ckpt.spec.img_size) == ('cae', 2, 4, (16, 16))
    rows = log(tmp_path / 'out')
    assert [r['update'] for r in rows] == list(range(1, 16)) and rows[0]['lr'] == 0 and rows[5]['lr'] == 1e-3
    assert {'loss_main', 'loss_align', 'token_acc', 'grad_norm', 'images_per_s'} <= set(rows[0])
    knn = json.loads((tmp_path / 'out/knn.jsonl').read_text())
    assert knn['epoch'] == 3 and 0 <= knn['cls'] <= 100 and knn['spread'] > 0
    picture = np.array(Image.open(tmp_path / 'out/pictures/epoch-0003.png'))
    assert picture.shape == (8 * (8 * 16 + 4) + 30, 4 * (8 * 16 + 4), 3)  # eight rows of four columns, under titles
    for x in range(4):
        assert (picture[:30, 132 * x : 132 * x + 128] < 128).any(), 'a title over each column'
    assert (picture[30:158, :128] != picture[30:158, 132:260]).any()  # image and what is seen of it
    before = file.stat().st_mtime_ns
    assert run(config, images, tmp_path / 'out') == file and file.stat().st_mtime_ns == before


def test_a_run_killed_in_the_middle_of_an_epoch_goes_on_to_the_same_curve_and_weights(config, images, tmp_path):
    whole = run(config, images, tmp_path / 'whole')
    options = dict(save_updates=3, cfg_options={'pretrain.log_every': 1})

    def until_killed():
        speak = PretrainLog._speak

        def slow(self, row, *args):
            speak(self, row, *args)
            time.sleep(60 if row['update'] == 8 else 0)

        PretrainLog._speak = slow
        run(config, images, tmp_path / 'killed', **options)

    child = in_child(until_killed)
    try:
        _wait_for(lambda: (tmp_path / 'killed/log.jsonl').is_file() and len(curve(tmp_path / 'killed')) == 8, child)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    assert (tmp_path / 'killed/last_checkpoint').read_text() == 'step-00000006.pth'  # of 5 updates an epoch
    resumed = run(config, images, tmp_path / 'killed', **options)
    assert curve(tmp_path / 'killed') == curve(tmp_path / 'whole')
    first, second = (torch.load(f, weights_only=True)['model'] for f in (whole, resumed))
    assert all(torch.equal(first[k], second[k]) for k in first)


def _wait_for(condition, child, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end and child.is_alive(), 'the run ended, or took too long'
        time.sleep(0.05)


NO_DROP = {'model.drop_path_rate': 0.0}


def test_accumulation_gives_the_losses_of_the_whole_batch(config, images, tmp_path):
    run(config, images, tmp_path / 'whole', cfg_options=NO_DROP)
    run(config, images, tmp_path / 'parts', cfg_options={**NO_DROP, 'pretrain.per_device': 2})
    assert curve(tmp_path / 'parts') == pytest.approx(curve(tmp_path / 'whole'), rel=1e-4)
    assert [r['lr'] for r in log(tmp_path / 'parts')] == [r['lr'] for r in log(tmp_path / 'whole')]


def in_two_processes(port: int, *args, stop_after: int | None = None, **options) -> list[int]:
    """Exit codes of two processes of one launch; the first one is sent SIGTERM after so many updates."""

    def process(rank: int):
        os.environ.update(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
        )
        speak = PretrainLog._speak

        def speak_and_stop(self, row, *rest):
            speak(self, row, *rest)
            if row['update'] == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)

        PretrainLog._speak = speak_and_stop
        with stopping.on_sigterm():
            run(*args, launcher='torchrun', **options)

    children = [in_child(process, rank) for rank in range(2)]
    for child in children:
        child.join(120)
    return [child.exitcode for child in children]


def test_two_processes_see_the_images_of_one_and_follow_its_curve(config, images, tmp_path):
    run(config, images, tmp_path / 'one', cfg_options=NO_DROP)
    assert in_two_processes(29731, config, images, tmp_path / 'two', cfg_options=NO_DROP) == [0, 0]
    # A process logs the losses of its own half; learning rate and gradient norm are those of all.
    one, two = log(tmp_path / 'one'), log(tmp_path / 'two')
    assert [r['grad_norm'] for r in two] == pytest.approx([r['grad_norm'] for r in one], rel=1e-3)
    assert [r['lr'] for r in two] == [r['lr'] for r in one]


def test_two_processes_of_which_one_is_sent_sigterm_stop_together_and_go_on_to_the_same_weights(
    config, images, tmp_path
):
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    assert in_two_processes(29732, config, images, whole) == [0, 0]
    assert in_two_processes(29733, config, images, stopped, stop_after=8) == [stopping.CODE, stopping.CODE]
    assert (stopped / 'last_checkpoint').read_text() == 'step-00000008.pth'  # in the middle of the second epoch
    assert in_two_processes(29734, config, images, stopped) == [0, 0]
    assert curve(stopped) == curve(whole)
    first, second = (torch.load(f / 'tiny_own.pth', weights_only=True)['model'] for f in (whole, stopped))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_last_checkpoints_and_milestones_are_kept(config, images, tmp_path):
    run(
        config,
        images,
        tmp_path / 'out',
        cfg_options={'pretrain.epochs': 5, 'pretrain.milestones': [2], 'pretrain.batch': 20},
    )
    kept = sorted(p.name for p in (tmp_path / 'out').glob('*.pth'))
    assert kept == ['epoch-0002.pth', 'epoch-0004.pth', 'epoch-0005.pth', 'tiny_own.pth']


def test_a_full_disk_leaves_the_old_checkpoint_whole_and_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / 'epoch-0001.pth'
    pretrain_files.save(dict(model={'a': torch.ones(3)}, optimizer={}), path)
    before = path.read_bytes()

    def fails(content, file):
        file.write(b'half of it')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', fails)
    with pytest.raises(OSError, match='No space left'):
        pretrain_files.save(dict(model={}, optimizer={}), path)
    assert path.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == [
        'epoch-0001.pth',
        'last_checkpoint',
    ]
    assert pretrain_files.newest(tmp_path)[0] == path


def test_a_checkpoint_that_cannot_be_written_once_does_not_end_the_run(config, images, tmp_path, monkeypatch, caplog):
    write, calls = pretrain_files.save, []

    def once(content, path):
        calls.append(path)
        if len(calls) == 1:
            raise OSError(28, 'No space left on device')
        write(content, path)

    monkeypatch.setattr(pretrain_files, 'save', once)
    with caplog.at_level('INFO', 'cae_bench'):
        file = run(config, images, tmp_path / 'out')
    assert file.is_file() and 'epoch-0001.pth could not be written' in caplog.text


def test_a_disk_that_stays_full_ends_the_run_with_the_file_and_the_remedy(config, images, tmp_path, monkeypatch):
    def fails(content, file):  # what torch makes of a write that fails
        raise RuntimeError('[enforce fail at inline_container.cc:672] . unexpected pos 128 vs 22')

    monkeypatch.setattr(torch, 'save', fails)
    with pytest.raises(OSError, match=r'epoch-0003.pth could not be written \(no space left.*intact. Free some space'):
        run(config, images, tmp_path / 'out')
    assert not list((tmp_path / 'out').glob('*.pth'))


def test_gradients_that_stay_broken_stop_the_run_and_name_parameter_and_images(config, images, tmp_path):
    broken = {'pretrain.lr': 1e30, 'pretrain.warmup_epochs': 0, 'pretrain.max_skips': 3}
    with pytest.raises(
        Diverged,
        match=r'epoch 1, iteration 4: no finite gradient in 3 updates in a row.* that of [a-z_.0-9]+\. '
        r'The last batch was .*\.png, .* and 5 more\. Lower the learning rate',
    ):
        run(config, images, tmp_path / 'out', cfg_options=broken)


def test_one_broken_gradient_is_left_out_and_counted(config, images, tmp_path, monkeypatch):
    from cae_bench.pretraining.methods.cae import CAE

    losses, calls = CAE.losses, []

    def once_nan(self, *args):
        calls.append(1)
        out = losses(self, *args)
        return {k: v * float('nan') if k == 'loss_align' and len(calls) == 4 else v for k, v in out.items()}

    monkeypatch.setattr(CAE, 'losses', once_nan)
    run(config, images, tmp_path / 'out')
    assert [r['skipped'] for r in log(tmp_path / 'out')][:5] == [0, 0, 0, 1, 1]
    assert np.isfinite(curve(tmp_path / 'out')[4:]).all()


# ---- bad input -------------------------------------------------------------------------------------------------


def expect(error, text: str, config, images, tmp_path, **options) -> None:
    with pytest.raises(error, match=text):
        run(config, images, tmp_path / 'out', **options)


@pytest.mark.parametrize(
    'options, text',
    [
        ({'model.regresor_depth': 2}, "no 'regresor_depth'. Did you mean regressor_depth"),
        ({'model.encoder.num_layer': 2}, "no 'num_layer'. Did you mean num_layers"),
        ({'pretrain.epoch': 2}, "no 'epoch'. Did you mean epochs"),
        ({'modle.alignment': 'none'}, "no 'modle'. Did you mean model"),
        ({'model.encoder.img_size': 18}, 'img_size=18 is not a multiple of patch_size=4: take 16'),
        ({'mask.num_masked': 16}, '4x4 has 16 patches; hide 1 to 15'),
        ({'model.alignment': 'newest'}, "alignment='newest', choose one of current, stale, none"),
        ({'pretrain.warmup_epochs': 9}, 'a warm-up of 9 epochs does not fit into 3'),
        ({'pretrain.amp': 'fp8'}, "amp='fp8': choose fp32, bf16 or fp16"),
    ],
)
def test_settings_that_cannot_be_are_named_with_the_nearest_that_can(options, text, config, images, tmp_path):
    expect(ConfigError, text, config, images, tmp_path, cfg_options=options)


def test_a_misspelt_key_in_a_config_file_is_named(config, images, tmp_path):
    Path(config).write_text(CONFIG.replace('regressor_depth', 'regresser_depth'))
    expect(
        ConfigError,
        'model.regresser_depth: CAE has no such setting. Did you mean regressor_depth',
        config,
        images,
        tmp_path,
    )
    Path(config).write_text(CONFIG.replace("'cae_bench.CAE'", "'cae_bench.CEA'"))
    expect(ConfigError, 'there is no cae_bench.CEA. Did you mean CAE', config, images, tmp_path)


def test_a_tokenizer_for_a_config_that_needs_none_is_refused(config, images, tmp_path):
    expect(
        ConfigError,
        '--tokenizer e.pkl: what this config predicts needs no file',
        config,
        images,
        tmp_path,
        tokenizer='e.pkl',
    )


def test_folders_that_cannot_serve_are_named(config, images, tmp_path):
    (tmp_path / 'empty').mkdir()
    expect(DataError, 'empty holds no images', config, str(tmp_path / 'empty'), tmp_path)
    expect(DataError, 'nowhere is no folder', config, str(tmp_path / 'nowhere'), tmp_path)
    expect(
        DataError,
        '40 images are fewer than the batch of 64',
        config,
        images,
        tmp_path,
        cfg_options={'pretrain.batch': 64},
    )
    with pytest.raises(ConfigError, match="no folder for data set 'own'. Add --data own=DIR"):
        pretrain(config, {}, tmp_path / 'out')
    with pytest.raises(ConfigError, match='cae_vit-tiny_scene: no such file.*Did you mean cae_vit-tiny_scenes'):
        pretrain('cae_vit-tiny_scene')


@pytest.fixture
def damaged(images, tmp_path) -> str:
    for i, source in enumerate(sorted(Path(images, 'train').rglob('*.png'))[:10]):
        (tmp_path / 'damaged').mkdir(exist_ok=True)
        raw = source.read_bytes()
        (tmp_path / f'damaged/{i}.png').write_bytes(raw[:60] if i in (3, 7) else raw)
    return str(tmp_path / 'damaged')


def test_corrupt_images_are_named_and_replaced_up_to_the_number_allowed(config, damaged, tmp_path, caplog):
    with caplog.at_level('INFO', 'cae_bench'):
        run(config, damaged, tmp_path / 'out', max_corrupt=2, cfg_options={'pretrain.batch': 5})
    assert '3.png is no readable image' in caplog.text and '7.png is no readable image' in caplog.text
    expect(
        DataError,
        r'[37]\.png is no readable image, the 2nd of this run.*--max-corrupt \(now 1\)',
        config,
        damaged,
        tmp_path / 'again',
        max_corrupt=1,
        cfg_options={'pretrain.batch': 5},
    )


def test_a_run_is_not_resumed_with_another_config_and_the_difference_is_listed(config, images, tmp_path):
    run(config, images, tmp_path / 'out', cfg_options={'pretrain.epochs': 1})
    expect(
        ConfigError,
        r'other settings \(model.alignment: absent there, stale now; pretrain.epochs: 1 there, 3 now\)',
        config,
        images,
        tmp_path,
        cfg_options={'model.alignment': 'stale'},
    )
    expect(ConfigError, 'holds a run already: leave --no-resume out', config, images, tmp_path, resume=False)
    (tmp_path / 'out/epoch-0001.pth').unlink()
    expect(CheckpointError, 'names epoch-0001.pth, which is gone', config, images, tmp_path)


def test_a_truncated_checkpoint_is_not_resumed(config, images, tmp_path):
    run(config, images, tmp_path / 'out', cfg_options={'pretrain.epochs': 1})
    path = tmp_path / 'out/epoch-0001.pth'
    path.write_bytes(path.read_bytes()[:2000])
    expect(CheckpointError, 'epoch-0001.pth', config, images, tmp_path, cfg_options={'pretrain.epochs': 1})


@pytest.mark.parametrize('damage', [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:2000])])
def test_a_missing_or_damaged_newest_checkpoint_falls_back_to_the_one_before_it(
    damage, config, images, tmp_path, caplog
):
    two = {'pretrain.epochs': 2}
    undisturbed = torch.load(run(config, images, tmp_path / 'whole', cfg_options=two), weights_only=False)
    finished = run(config, images, tmp_path / 'out', cfg_options=two)
    finished.unlink()
    damage(tmp_path / 'out/epoch-0002.pth')
    with caplog.at_level('INFO', 'cae_bench'):
        again = run(config, images, tmp_path / 'out', cfg_options=two)
    assert 'epoch-0002.pth' in caplog.text and 'Goes on from epoch-0001.pth' in caplog.text
    resumed = torch.load(again, weights_only=False)
    assert all(torch.equal(tensor, resumed['model'][name]) for name, tensor in undisturbed['model'].items())


@pytest.mark.parametrize('devices, expected', [(32, (64, 1)), (8, (64, 4)), (1, (64, 32))])
def test_the_effective_batch_is_kept_on_fewer_devices(devices, expected):
    recipe = pretrain_recipe.Recipe(data='in1k', batch=2048, lr=1.0, epochs=1, per_device=64)
    assert pretrain_recipe.split_batch(recipe, devices) == expected


@pytest.mark.parametrize('name', names())
def test_every_shipped_config_says_all_that_a_run_needs(name):
    options = PretrainOptions()
    cfg = read(find(name), options)
    recipe = pretrain_recipe.in_epochs(pretrain_recipe.recipe_of(cfg), 1_281_167)
    made = pretrain_recipe.runner_config(cfg, recipe, options, 'data', Path('out'), name)
    from cae_bench.registry import MODELS, TRANSFORMS

    model = dict(made['model'])
    if model.get('target', {}).get('checkpoint', 'nothing to load') is None:
        model['target'] = dict(type='cae_bench.GivenCodes', codes=8192)
    with torch.device('meta'):
        encoder = MODELS.build(model).encoder
    dataset = made['train_dataloader']['dataset']
    assert TRANSFORMS.build(dict(dataset['mask'])).grid == encoder.spec.grid
    assert TRANSFORMS.build(dict(dataset['view'])).crop.size == encoder.spec.img_size[0]
    assert tuple(model['data_preprocessor']['mean']) == encoder.spec.mean


@pytest.mark.parametrize('name', ['beit_vit-base_800e', 'beit_vit-large_800e'])
def test_beit_on_imagenet_1k_has_imagenets_pixels_and_colour_jitter_in_the_runner_it_is_trained_by(name, tmp_path):
    options = PretrainOptions()
    cfg = read(find(name), options)
    recipe = pretrain_recipe.in_epochs(pretrain_recipe.recipe_of(cfg), 1_281_167)
    ready = pretrain_recipe.runner_config(cfg, recipe, options, 'data/in1k', tmp_path, name)
    assert ready['model']['data_preprocessor'] == dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert ready['train_dataloader']['dataset']['view']['color_jitter'] == 0.4
