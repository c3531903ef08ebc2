"""`cae-bench run` on frozen protocols: what ends up in records, and what is said where something goes wrong."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from frozen_runs import draw_images

from cae_bench import run
from cae_bench.errors import ConfigError

TINY = 'random:vit-32x2x2'
HERE = {
    f'{loader}.{key}': 0
    for loader in ('train_dataloader', 'val_dataloader')  # workers take seconds to start
    for key in ('num_workers', 'persistent_workers')
}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return draw_images(tmp_path_factory.mktemp('images'))


@pytest.fixture
def start(data, tmp_path):
    def begin(*protocols, folder=data, cfg_options=None, **options):
        return run(
            TINY,
            [f'own/{p}' for p in protocols],
            data={'own': str(folder)},
            results=tmp_path,
            recipe='mini',
            device='cpu',
            cfg_options={**HERE, **(cfg_options or {})},
            **options,
        )

    return begin


def test_a_protocol_all_of_whose_heads_diverged_costs_the_others_of_its_pass_nothing(start, tmp_path):
    outcome = start('knn', 'linear', 'attentive', grid=dict(lr=[1e30]))
    assert [r.task for r in outcome.records] == ['own/knn']
    assert set(outcome.failures) == {'own/linear', 'own/attentive'} and outcome.exit_code == 1
    assert 'top1 is nan: the training diverged' in outcome.failures['own/linear']
    assert [p.parent.name for p in (tmp_path / 'measured').rglob('*.json')] == ['knn']


def damage(data, *names):
    for name in names:
        path = data / name
        path.write_bytes(path.read_bytes()[:40])


def test_an_image_that_cannot_be_decoded_is_named_with_the_option_that_leaves_it_out(start, tmp_path):
    data = draw_images(tmp_path / 'images')
    damage(data, 'val/class1/3.png')
    outcome = start('knn', folder=data)
    assert 'class1/3.png is no readable image' in outcome.failures['own/knn']
    assert '--skip-corrupt leaves such images out' in outcome.failures['own/knn']


def test_images_left_out_are_counted_in_the_record_and_said_once(start, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('cae_bench.probing.hooks.say', said.append)
    data = draw_images(tmp_path / 'images', train=11, val=3)
    names = ['train/class0/4.png', 'train/class2/7.png', 'val/class1/0.png']
    damage(data, *names)
    monkeypatch.setenv('CAE_BENCH_CACHE', str(tmp_path / 'cache'))
    options = dict(folder=data, skip_corrupt=True, cfg_options={'val_dataloader.batch_size': 1})  # a batch of none
    outcome = start('linear', 'linear_cached', 'knn', **options)
    assert not outcome.failures
    for record in outcome.records:
        assert record.selection['skipped'] == dict(count=3, images=names)
        assert record.overrides['skip_corrupt'] is True and record.config['val_dataloader']['dataset']['skip_corrupt']
        from cae_bench.results import read_per_image

        assert len(read_per_image(next((tmp_path / 'measured').rglob(f'{record.protocol}/*.json')))['image']) == 8
    assert [line for line in said if 'left out' in line] == [
        '3 images left out, cannot be decoded: train/class0/4.png, train/class2/7.png, val/class1/0.png'
    ]
    again = start('linear_cached', overwrite=True, **options).records[0]  # from the cache: no pixel is read
    first = next(r for r in outcome.records if r.protocol == 'linear_cached')
    assert again.selection['skipped'] == first.selection['skipped'] and again.metrics == first.metrics


def test_what_needs_every_image_refuses_to_leave_some_out(start):
    with pytest.raises(ConfigError, match='--skip-corrupt: own/finetune needs every image; only protocols on frozen'):
        start('finetune', skip_corrupt=True)


def test_scalars_go_to_tensorboard_by_wish(start, tmp_path, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder):
            assert str(tmp_path / 'work_dirs') in str(folder)

        def add_scalar(self, name, value, step):
            written.append(name)

        def __getattr__(self, name):
            return lambda *args, **kwargs: None

    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', SimpleNamespace(SummaryWriter=Writer))
    often = {'default_hooks.logger.interval': 1}
    outcome = start('knn', 'linear', tensorboard=True, cfg_options=often)
    assert {'loss', 'linear/loss', 'linear/top1', 'knn/top1'} <= set(written)
    plain = start('knn', 'linear', cfg_options=often)
    assert [r.fingerprint for r in plain.records] == [r.fingerprint for r in outcome.records]


def test_tensorboard_is_asked_for_by_name_where_it_is_missing(start, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    with pytest.raises(ConfigError, match='pip install tensorboard, or leave the option out'):
        start('knn', tensorboard=True)


def test_a_record_holds_the_published_the_held_out_and_the_last_epochs_score(start):
    best = {'model.probes.linear.select': 'best', 'train_cfg.val_interval': 1}
    linear = start('linear', grid=dict(lr=[0.01, 6.0]), cfg_options=best).records[0]
    layers = start('linear_multilayer').records[0]
    for record in linear, layers:
        assert set(record.metrics) == {'top1', 'top5', 'top1_last', 'top1_held_out'}
        assert all(metric.ci95 for name, metric in record.metrics.items() if name != 'top5')
        held_out = record.selection['held_out']
        assert held_out['reported'] == record.metrics['top1_held_out'].value and held_out['images'] == 6
        assert record.metrics['top1_last'].value == record.selection['last']['top1']
    assert (linear.selection['by'], layers.selection['by']) == ('paper', 'last epoch')
    assert [cell['layer'] for cell in layers.selection['curve']] == [1, 2], "the recipe's own choice, without --grid"


def test_a_setting_of_one_probe_stays_away_from_the_others(start):
    steps = {'model.probes.linear.batch_size': 16, 'model.probes.linear.bn_group': 16}
    linear, knn = start('linear', 'knn', cfg_options=steps).records
    heads = linear.config['model']['probes'], knn.config['model']['probes']
    assert heads[0]['linear']['batch_size'] == 16 and 'linear' not in heads[1]
    with pytest.raises(ConfigError, match="linaer.batch_size: there is no 'linaer'. Did you mean linear"):
        start('linear', cfg_options={'model.probes.linaer.batch_size': 16})
    with pytest.raises(ConfigError, match='size is a variable of the recipe and has been used by now'):
        start('linear', cfg_options={'size': 64})
    with pytest.raises(ConfigError, match="trian_cfg.max_epochs: there is no 'trian_cfg'. Did you mean train_cfg"):
        start('linear', cfg_options={'trian_cfg.max_epochs': 1})


def test_a_record_lists_only_the_settings_that_its_protocol_had_a_place_for(start):
    steps = {'model.probes.linear.batch_size': 16, 'model.probes.linear.bn_group': 16}
    linear, knn = start('linear', 'knn', cfg_options=steps, grid=dict(lr=[0.5, 6.0], k=[5]), share_views=True).records
    assert linear.overrides == {**HERE, **steps, 'grid': dict(lr=[0.5, 6.0]), 'share_views': True}
    assert knn.overrides == {**HERE, 'grid': dict(k=[5])} and knn.selection['chosen']['k'] == 5
    assert start('knn', grid=dict(k=[5])).records[0].started == knn.started, 'it is the same run, and done already'


@pytest.mark.parametrize(
    'grid, says',
    [
        (dict(lr=[-1.0, 6.0]), 'linear: lr=-1.0 in its grid; numbers of at least 0'),
        (dict(lr=[float('nan')]), 'linear: lr=nan in its grid'),
        (dict(lr=[6.0, 0.5, 6.0]), 'lr=6.0 stands in its grid more than once'),
        (dict(k=[0]), 'knn: k=0 in its grid; whole numbers from 1'),
        (dict(temperature=[0.0]), 'numbers above 0'),
        (dict(layer=[3]), 'linear_multilayer: layer=3 in its grid; whole numbers from 1 to 2'),
        (dict(lrr=[1.0]), 'no head of these tasks has it. Did you mean lr'),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused_before_anything_is_computed(start, grid, says):
    with pytest.raises(ConfigError, match=says):
        start('linear', 'knn', 'linear_multilayer', grid=grid)


@pytest.mark.parametrize(
    'key, value, says',
    [
        ('bn_epss', 1e-6, 'bn_epss: there is no such setting. Did you mean bn_eps'),
        ('bn_group', 1, 'bn_group=1: a whole number of images is needed, at least 2'),
        ('batch_size', 0, 'at least 2'),
        ('select', 'bset', "select='bset': choose best, last, first"),
        ('feature', 'class', 'choose tokens, cls, mean'),
        ('schedule.type', 'cosine', 'choose fractional_epoch, cosine_table, cosine_per_epoch'),
        ('schedule.warmup', 1, 'schedule.warmup: there is no such setting. Did you mean warmup_epochs'),
        ('optimizer.momentums', 1, 'optimizer.momentums: LARS has no such setting. Did you mean momentum'),
    ],
)
def test_a_setting_of_a_probe_that_does_not_exist_is_refused(start, key, value, says):
    with pytest.raises(ConfigError, match=says):
        start('linear', cfg_options={f'model.probes.linear.{key}': value})


def test_a_group_of_which_one_image_is_left_trains_nothing(start):
    small = {'model.probes.linear.bn_group': 2}  # the held-out tenth takes images out of groups of two
    assert not start('linear', cfg_options=small).failures


@pytest.mark.parametrize('options, says', [(dict(seed=-1), '--seed -1: choose'), (dict(limit=0), '--limit 0: keep')])
def test_impossible_numbers_are_refused(start, options, says):
    with pytest.raises(ConfigError, match=says):
        start('knn', **options)


def test_bad_input_alone_ends_with_2_and_anything_else_with_1(start, tmp_path):
    few = draw_images(tmp_path / 'few', train=4, val=2)
    outcome = start('fewshot_10', folder=few)
    assert outcome.exit_code == 2 and 'fewer are there of class0 (4)' in outcome.failures['own/fewshot_10']
    one = start('knn', folder=draw_images(tmp_path / 'one', classes=1))
    assert one.exit_code == 2 and 'one class only' in one.failures['own/knn']


def test_few_shots_do_not_become_fewer_where_images_are_left_out(start, tmp_path):
    data = draw_images(tmp_path / 'images')
    damage(data, *(f'train/class1/{i}.png' for i in range(16)))
    outcome = start('fewshot_1', folder=data, skip_corrupt=True)
    assert 'class number 1 (from 0) has fewer than 1' in outcome.failures['own/fewshot_1']


@pytest.mark.parametrize(
    'harm, says',
    [(lambda file: file.write_bytes(file.read_bytes()[:500]), 'iter_4.pth is damaged'), (Path.unlink, 'from ')],
)
def test_a_damaged_or_missing_checkpoint_falls_back_to_the_one_before(start, tmp_path, monkeypatch, caplog, harm, says):
    often = {'default_hooks.checkpoint.interval': 2, 'train_dataloader.batch_size': 16}
    with monkeypatch.context() as patched:
        patched.setattr('cae_bench.probing.hooks.HeadLines.after_train_iter', stop_after_five)
        assert start('linear', cfg_options=often).failures
    files = sorted((tmp_path / 'work_dirs').rglob('iter_*.pth'))
    assert [file.name for file in files] == ['iter_2.pth', 'iter_4.pth']
    harm(files[-1])
    caplog.set_level('INFO', 'cae_bench')
    outcome = start('linear', cfg_options=often)
    assert not outcome.failures and says in caplog.text
    assert f'goes on after iteration 2, from {files[0]}' in caplog.text
    assert outcome.records[0].extra['resumed'] == [2]
    again = start('linear', cfg_options=often, resume=False, overwrite=True)
    assert again.records[0].metrics == outcome.records[0].metrics and 'resumed' not in again.records[0].extra


def stop_after_five(hook, runner, *args, **kwargs):
    if runner.iter == 4:
        raise RuntimeError('stopped')
