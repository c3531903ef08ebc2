from collections import defaultdict

import pytest
import yaml

from cae_bench.errors import ConfigError, RecordError
from cae_bench.paths import shipped
from cae_bench.results import list_published, list_suites, load_published, load_suite
from cae_bench.results.published import CONFIDENCES, read_file

# (how many, their sum) of each column and metric, taken from the collection these files were made from.
SUMS = {
    'ade20k/linear_seg mIoU': (11, 355.5),
    'ade20k/setr_pup mIoU': (4, 179.63),
    'ade20k/upernet mIoU': (59, 2908.13),
    'cifar100/finetune top1': (1, 90.1),
    'coco/cascade_mask_rcnn bbox_mAP': (9, 456.9),
    'coco/cascade_mask_rcnn segm_mAP': (6, 257.0),
    'coco/cascade_rcnn bbox_mAP': (2, 108.4),
    'coco/mask_rcnn bbox_mAP': (28, 1409.6),
    'coco/mask_rcnn segm_mAP': (19, 848.0),
    'coco/vitdet_cascade_mask_rcnn bbox_mAP': (3, 170.3),
    'coco/vitdet_cascade_mask_rcnn segm_mAP': (3, 147.7),
    'coco/vitdet_mask_rcnn bbox_mAP': (5, 271.0),
    'coco/vitdet_mask_rcnn segm_mAP': (5, 240.4),
    'in1k/attentive top1': (28, 2100.54),
    'in1k/finetune top1': (145, 12215.702),
    'in1k/knn top1': (10, 482.13),
    'in1k/linear top1': (100, 6929.45),
    'inat2017/finetune top1': (4, 308.9),
    'inat2018/finetune top1': (4, 325.3),
    'inat2019/finetune top1': (4, 337.9),
    'places205/finetune top1': (4, 262.4),
    'places365/finetune top1': (4, 237.4),
}


def test_none_of_the_458_numbers_is_lost_or_doubled():
    assert sorted(n.id for n in load_published()) == [f'r{i:04}' for i in range(1, 459)]


def test_the_numbers_are_those_of_the_collection():
    found = defaultdict(lambda: [0, 0.0])
    for number in load_published():
        found[f'{number.protocol.column} {number.metric}'][0] += 1
        found[f'{number.protocol.column} {number.metric}'][1] += number.value
    assert {name: (n, pytest.approx(total)) for name, (n, total) in found.items()} == SUMS


def test_every_number_says_where_it_was_read_and_how_it_was_obtained():
    for number in load_published():
        assert number.source.kind and number.source.name and number.protocol.head and number.confidence in CONFIDENCES
        assert 0 < number.value < 100 and number.model.backbone and number.protocol.column.count('/') == 1


def test_exact_and_secondary_sources_are_told_apart():
    numbers = load_published()
    assert sum(n.secondary for n in numbers) == 79 and sum(not n.secondary for n in numbers) == 379
    quoted = next(n for n in numbers if n.id == 'r0067')
    assert quoted.secondary and quoted.value == 51.8 and 'ViTAMINS' in quoted.source.name


def test_recipes_that_cannot_be_compared_never_share_a_column_and_variant():
    boxes = {n.id: (n.protocol.column, n.protocol.variant) for n in load_published() if n.metric == 'bbox_mAP'}
    assert boxes['r0029'] == ('coco/mask_rcnn', None)  # MAE-B 48.4, the recipe of CAE
    assert boxes['r0154'] == ('coco/mask_rcnn', 'mae-tuned')  # MAE-B 50.3, tuned per entry
    assert boxes['r0332'] == ('coco/vitdet_mask_rcnn', None)  # MAE-B 51.6, ViTDet
    linear = {n.id: n.protocol.variant for n in load_published() if n.protocol.column == 'in1k/linear'}
    assert linear['r0110'] is None and linear['r0233'] == 'middle-layer'  # BEiT-B: 41.8 and 56.7
    probed = load_published(['efficient_probing'])
    attentive = {n.protocol.variant for n in probed if n.protocol.column == 'in1k/attentive'}
    assert attentive == {'ep32'}


def test_one_source_gives_one_number_for_a_model_and_column_unless_it_names_seeds():
    seen = defaultdict(list)
    for n in load_published():
        if n.seed is None:
            seen[n.file, n.source_key, n.model, n.protocol.column, n.protocol.variant, n.metric].append(n.id)
    # The BEiT paper prints one number twice, 83.2 and 83.19.
    assert [ids for ids in seen.values() if len(ids) > 1] == [['r0221', 'r0226']]


def test_every_key_of_a_file_is_used():
    for path in shipped('results/published').glob('*.yml'):
        data = yaml.safe_load(path.read_text())
        for part, field in (('sources', 'source'), ('protocols', 'protocol'), ('models', 'model'), ('notes', 'note')):
            assert set(data.get(part, {})) == {row[field] for row in data['results'] if field in row}, (path.name, part)


def test_costs_sizes_and_spreads_are_kept_with_their_sources():
    counts = {}
    for path in (shipped('results/published') / 'facts').glob('*.yml'):
        rows = yaml.safe_load(path.read_text())
        assert all(row['source'] and row['confidence'] in CONFIDENCES for row in rows)
        counts[path.stem] = len(rows)
    assert counts == {'params_flops': 16, 'training_cost': 20, 'variance': 10}


@pytest.mark.parametrize(
    'text, what', [('results: [', 'ParserError'), ('title: x', "KeyError: 'sources'"), ('- 1', 'TypeError')]
)
def test_a_damaged_file_is_named(tmp_path, text, what):
    (tmp_path / 'bad.yml').write_text(text)
    with pytest.raises(RecordError, match=f'bad.yml: not a file of published results .{what}'):
        read_file(tmp_path / 'bad.yml')


def test_an_unknown_file_gets_the_nearest_names():
    with pytest.raises(ConfigError, match="no file of published results named 'mae_papr'. Did you mean mae_paper"):
        load_published(['mae_papr'])


def test_the_list_of_published_files_counts_them_all():
    listed = {name: (count, methods) for name, count, methods, _ in list_published()}
    assert sum(count for count, _ in listed.values()) == 458
    assert listed['cae'] == (56, 'CAE, MAE')


def test_every_shipped_suite_loads_and_its_picks_exist():
    assert {'cae_paper', 'mini'} <= set(list_suites())
    for name in list_suites():
        suite = load_suite(name)
        for pick in suite.picks:
            numbers = load_published([pick.file])
            assert set(pick.sources or ()) <= {n.source_key for n in numbers}
            assert set(pick.methods or ()) <= {n.model.method for n in numbers}


def test_the_suite_of_the_paper_and_of_the_demo_name_their_tasks():
    assert load_suite('cae_paper').tasks == [
        'in1k/linear',
        'in1k/attentive',
        'in1k/finetune',
        'ade20k/upernet',
        'coco/mask_rcnn',
    ]
    protocols = ('knn', 'linear', 'attentive', 'finetune', 'upernet', 'mask_rcnn')
    assert load_suite('mini').tasks == [f'scenes/{protocol}' for protocol in protocols]
    assert load_suite('mini').recipe == 'mini' and load_suite('mini').picks == ()


def test_an_unknown_suite_gets_the_nearest_names():
    with pytest.raises(ConfigError, match="no suite named 'cae_papr'. Did you mean cae_paper"):
        load_suite('cae_papr')


@pytest.mark.parametrize(
    'text, what',
    [
        ('title: x', 'KeyError'),
        ('title: [', 'ParserError'),
        (
            'title: x\nrecipe: mini\ntasks: [{task: linear, metrics: [top1]}]',
            "task 'linear' is not <dataset>/<protocol>",
        ),
        ('title: x\nrecipe: mini\ntasks: [{task: a/b, metric: top1}]', 'KeyError'),
    ],
)
def test_a_broken_suite_of_ones_own_is_named(tmp_path, text, what):
    path = tmp_path / 'own.yml'
    path.write_text(text)
    with pytest.raises(ConfigError, match='own.yml: not a suite') as error:
        load_suite(str(path))
    assert what in str(error.value)
