from pathlib import Path

import numpy as np
import pytest

from cae_bench.errors import RecordError
from cae_bench.results import compare, explain, write_record
from cae_bench.statistics import paired_ap, paired_miou
from cae_bench.statistics.paired import gap_of_draws, mcnemar
from cae_bench.statistics.per_image import Counts, Detections


@pytest.fixture
def put(make, tmp_path):
    def write(per_image=None, **fields):
        return str(write_record(tmp_path, make(**fields), per_image))

    return write


def only(pairs):
    (pair,) = pairs
    return pair


def test_mcnemar_is_the_two_sided_binomial_test():
    assert mcnemar(5, 0) == 2 / 2**5  # 0.0625
    assert mcnemar(8, 2) == 2 * (1 + 10 + 45) / 2**10  # 0.109375
    assert mcnemar(3, 3) == 1.0 and mcnemar(0, 0) == 1.0


def test_mcnemar_of_many_images_goes_over_smoothly_to_its_limit():
    exact, limit = mcnemar(530, 470), mcnemar(530, 471)
    assert exact == pytest.approx(0.0621, abs=2e-4) and limit == pytest.approx(exact, abs=5e-3)


def test_images_are_matched_by_name_and_the_difference_is_worked_by_hand(put):
    names = [f'{i}.jpg' for i in range(100)]
    a = put({'image': names, 'correct': [i < 60 for i in range(100)]}, model='a', value=60.0)
    flipped = {'image': names[::-1], 'correct': [i < 50 for i in range(100)][::-1]}
    b = put(flipped, model='b', value=50.0, sha256='b' * 64)
    (difference,) = only(compare(a, b)).differences
    # ten images only A has right: gap 0.1, standard error sqrt((0.1 - 0.01) / 100) = 0.03
    assert difference.ci95 == pytest.approx((10 - 5.88, 10 + 5.88)) and difference.p == 2 / 2**10
    assert difference.significant and difference.test == 'McNemar over 100 images'


def test_without_per_image_columns_the_two_intervals_decide(put):
    a = put(model='a', value=53.0, ci95=(50.0, 56.0))
    b = put(model='b', value=50.0, ci95=(46.0, 54.0), sha256='b' * 64)
    (difference,) = only(compare(a, b)).differences  # half-widths 3 and 4: 5 together
    assert difference.ci95 == pytest.approx((-2.0, 8.0)) and not difference.significant
    assert difference.p == pytest.approx(0.2396, abs=1e-3)  # z = 3 / (5 / 1.96) = 1.176


def test_where_nothing_is_kept_significance_is_unknown_and_said_so(put):
    pairs = compare(put(model='a'), put(model='b', sha256='b' * 64))
    assert only(pairs).differences[0].significant is None and 'significance unknown' in explain(pairs)


def test_the_bootstrap_of_miou_is_paired(put):
    pixels = np.array([[50 + i, 40] for i in range(20)])
    names, union = [f'{i}.jpg' for i in range(20)], np.full((20, 2), 100)
    a, b = paired_miou.draws([Counts(names, pixels, union), Counts(names, pixels - [10, 0], union)], 2000)
    gap = gap_of_draws(a, b)
    assert gap.ci95 == pytest.approx((5.0, 5.0)) and gap.p < 0.01  # 10 % of one of two classes
    gap = gap_of_draws(a, a)
    assert gap.ci95 == (0.0, 0.0) and gap.p == 1.0


def test_miou_of_two_records_is_compared_by_bootstrap(put):
    columns = {'image': ['x', 'y', 'z'], 'intersection': [[5, 5]] * 3, 'union': [[10, 10]] * 3}
    a = put(columns, task='scenes/upernet', model='a', value=50.0)
    b = put(columns, task='scenes/upernet', model='b', value=50.0, sha256='b' * 64)
    (difference,) = only(compare(a, b)).differences
    assert difference.test == 'paired bootstrap over 3 images' and not difference.significant


def detections(found, images=30):
    """One object an image. `found`: of image i, bits of the IoU thresholds at which its only detection hits."""
    return {
        'image': [f'{i}.jpg' for i in range(images)],
        **{
            f'{kind}_{name}': values
            for kind in ('bbox', 'segm')
            for name, values in dict(
                truth=[[1, 0]] * images,
                score=[[0.9]] * images,
                label=[[0]] * images,
                hit=[[found(i)] for i in range(images)],
                ignored=[[0]] * images,
            ).items()
        },
    }


def test_the_bootstrap_of_ap_is_paired():
    all_of_it, half = detections(lambda i: 0b1111111111), detections(lambda i: 0b0000011111)

    def gaps(a, b, resamples):
        drawn = paired_ap.draws([Detections.unpack(a), Detections.unpack(b)], resamples)
        return {name: scores[0] - scores[1] for name, scores in drawn.items()}

    drawn = gaps(all_of_it, half, 50)
    assert set(drawn) == {f'{kind}_mAP{part}' for kind in ('bbox', 'segm') for part in ('', '_50', '_75')}
    assert drawn['bbox_mAP'] == pytest.approx([50] * 50) and drawn['segm_mAP_75'] == pytest.approx([100] * 50)
    assert drawn['bbox_mAP_50'] == pytest.approx([0] * 50)  # images vary, the two models with them
    mixed = gaps(all_of_it, detections(lambda i: 0b1111111111 if i % 2 else 0), 200)['bbox_mAP']
    assert mixed.std() > 1 and mixed.min() > 0


def test_ap_of_two_records_is_compared_by_paired_bootstrap_if_the_objects_are_the_same(put):
    all_of_it, half = detections(lambda i: 0b1111111111), detections(lambda i: 0b0000011111)
    a = put(all_of_it, task='scenes/mask_rcnn', model='a', value=100.0)
    b = put(half, task='scenes/mask_rcnn', model='b', value=50.0, sha256='b' * 64)
    (difference,) = only(compare(a, b)).differences
    assert difference.test == 'paired bootstrap over 30 images' and difference.ci95 == pytest.approx((50, 50))
    other = dict(half, bbox_truth=[[2, 0]] * 30)
    c = put(other, task='scenes/mask_rcnn', model='c', value=50.0, sha256='c' * 64)
    assert 'unknown' in only(compare(a, c)).differences[0].test


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(recipe='paper'), 'different recipes: mini and paper'),
        (dict(protocol_version=2), 'different versions of the protocol: 1 and 2'),
        (dict(task='scenes/knn'), 'different tasks: scenes/linear and scenes/knn'),
        (dict(data='other', num_val=100), 'different files under the name scenes (200 and 100 val images)'),
        (dict(limit=64), 'different numbers of images used: all and 64'),
    ],
)
def test_what_must_not_be_compared_is_not_and_the_reason_is_said(put, change, reason):
    pairs = compare(put(model='a'), put(model='b', **change))
    assert reason in only(pairs).obstacles and only(pairs).differences == ()
    assert f'not comparable: {reason}' in explain(pairs)


def test_what_differs_besides_is_listed(put):
    pair = only(compare(put(model='a'), put(model='b', seed=1, precision='bf16', packages={'torch': '2.13.0'})))
    assert pair.obstacles == ()
    assert pair.remarks == ('settings: none and amp=bf16', 'seed: 0 and 1', 'torch: 2.12.0 and 2.13.0')


def test_models_are_compared_on_every_common_task_with_all_their_seeds(put, tmp_path):
    for model in 'ab':
        for seed in (0, 1):
            put(model=model, seed=seed, sha256=model * 64)
        put(model=model, task='scenes/knn', sha256=model * 64)
    put(model='a', task='scenes/upernet')
    pairs = compare('a', 'b', tmp_path)
    found = [(p.a[0].task, *([run.seed for run in runs] for runs in (p.a, p.b))) for p in pairs]
    assert found == [('scenes/knn', [0], [0]), ('scenes/linear', [0, 1], [0, 1])]


def test_models_without_a_common_task_are_said_so(put, tmp_path):
    put(model='a'), put(model='a', task='scenes/upernet'), put(model='b', task='scenes/knn')
    with pytest.raises(RecordError, match='no common task: scenes/linear, scenes/upernet against scenes/knn'):
        compare('a', 'b', tmp_path)


def test_an_unknown_model_gets_the_nearest_names(put, tmp_path):
    put(model='cae_base')
    with pytest.raises(RecordError, match='cae_bas: neither a record .* Did you mean cae_base'):
        compare('cae_bas', 'cae_base', tmp_path)


def test_a_run_compared_with_itself_is_recognised(put):
    path = put(model='a')
    assert only(compare(path, path)).remarks == ('one and the same run',)


def test_a_damaged_per_image_file_costs_its_own_test_alone_and_is_named(put, tmp_path):
    columns = {'image': ['x', 'y'], 'correct': [True, False]}
    for task in ('scenes/linear', 'scenes/knn'):
        for model in 'ab':
            path = put(columns, task=task, model=model, sha256=model * 64, ci95=(40.0, 60.0))
    Path(path).with_suffix('.parquet').write_bytes(b'PAR1')
    knn, linear = compare('a', 'b', tmp_path)
    assert linear.differences[0].test == 'McNemar over 2 images' and 'two intervals' in knn.differences[0].test
    assert f'warning: {path[:-5]}.parquet: damaged per-image file' in explain([knn])
