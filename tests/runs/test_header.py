"""The header of a config: what it may say, how it is checked, and how its places are named."""

import pytest
from mmengine.config import Config

import cae_bench
from cae_bench import checkpoints
from cae_bench.benchmark import resolve
from cae_bench.errors import ConfigError
from cae_bench.paths import shipped
from cae_bench.runs import places
from cae_bench.runs.header import Header, MetricKind
from cae_bench.runs.options import Options
from cae_bench.tasks import Task

PLAIN = dict(
    version=1,
    layout='ade',
    frozen=False,
    metrics=dict(mIoU=dict(unit='%', higher_is_better=True)),
    fit={'a.b': 'classes'},
)


def header(**changes):
    return Header.of(Config(dict(benchmark={**PLAIN, **changes}), filename=str(shipped('configs') / 'knn' / 'mini.py')))


def test_a_header_is_typed():
    read = header(schedule=['train_cfg.max_iters'], by_pretraining={'lr': {'300': 1, 800: 2e-4}}, typical_size=[4, 6])
    assert read.metrics == {'mIoU': MetricKind('%', True)} and read.schedule == ('train_cfg.max_iters',)
    assert read.by_pretraining == {'lr': {300: 1.0, 800: 2e-4}} and read.typical_size == (4, 6)
    assert read.global_batch is None and read.random_numbers_per == 'micro_batch' and not read.remarks


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            dict(global_bach=8),
            r'knn/mini.py: benchmark.global_bach: a header has no such key. Did you mean global_batch',
        ),
        (dict(recipe='paper'), r'benchmark.recipe: a header has no such key'),
        (dict(version='2'), r"benchmark.version='2': expected a whole number from 1"),
        (dict(version=None), r'benchmark.version=None: expected a whole number'),
        (dict(frozen=1), r'benchmark.frozen=1: expected True or False'),
        (dict(global_batch=0), r'benchmark.global_batch=0: expected a whole number from 1'),
        (dict(schedule='train_cfg.max_iters'), r'expected a list of places'),
        (dict(metrics=dict(mIoU=dict(unit='%'))), r'expected NAME=dict'),
        (dict(typical_size=512), r'expected .height, width. in pixels'),
    ],
)
def test_what_a_header_cannot_say_is_named_with_its_config(changes, message):
    with pytest.raises(ConfigError, match=message):
        header(**changes)


def test_what_every_header_has_to_say_is_missed():
    cfg = Config(dict(benchmark={key: value for key, value in PLAIN.items() if key not in ('layout', 'fit')}))
    with pytest.raises(ConfigError, match='benchmark lacks layout, fit'):
        Header.of(cfg)


CFG = Config(
    dict(
        pipeline=[dict(type='cae_bench.Load'), dict(type='mmseg.Crop', size=8), dict(type='Pack'), dict(type='Pack')],
        milestones=[3, 5],
        model=dict(neck=dict(width=4)),
    )
)


def test_an_item_of_a_list_is_named_by_its_type_or_its_position():
    assert places.get(CFG, 'pipeline.Crop.size') == places.get(CFG, 'pipeline.1.size') == 8
    assert places.get(CFG, 'milestones.1') == 5 and places.get(CFG, 'model.neck.width') == 4
    assert places.by_position(CFG, 'pipeline.Crop.new') == 'pipeline.1.new'
    assert places.find(CFG, 'model.neck.new') == (CFG.model.neck, 'new')


@pytest.mark.parametrize(
    'path', ['pipeline.Pack.size', 'pipeline.9.size', 'pipeline.9', 'milestones.x', 'model.head.x']
)
def test_a_place_that_is_not_there_or_could_be_two_is_refused(path):
    with pytest.raises(places.NoSuchPlace):
        places.find(CFG, path)


@pytest.mark.parametrize(
    'task, recipe, says',
    [
        (
            'in1k/linear',
            'paper',
            'linear/vit-base.py has no published batch: heads on frozen features have batches of their '
            'own, model.probes.linear.batch_size=N',
        ),
        ('in1k/knn', 'paper', 'knn/vit-base.py has no published batch: nothing is trained'),
        (
            'ade20k/upernet',
            'mini',
            'upernet/mini.py is for one device and has no published batch. Use train_dataloader.batch_size=N',
        ),
    ],
)
def test_a_batch_for_a_recipe_that_has_none_is_refused(task, recipe, says):
    with pytest.raises(ConfigError) as error:
        cae_bench.run(
            'random:vit-base', [task], recipe=recipe, dry_run=True, cfg_options={'benchmark.global_batch': 64}
        )
    assert str(error.value) == f'--cfg-options benchmark.global_batch: {says}'


def test_beside_a_training_a_published_batch_is_for_the_training_alone(tmp_path):
    jobs = resolve(
        [Task('in1k', 'linear'), Task('in1k', 'finetune')],
        checkpoints.load('random:vit-base'),
        {},
        Options(cfg_options={'benchmark.global_batch': 64}),
        may_lack_data=True,
    )
    assert [job.header.global_batch for job in jobs] == [None, 64]
