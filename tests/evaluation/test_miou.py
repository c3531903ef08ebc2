"""MeanIoU: hand-worked numbers, mmseg's own counts, and what it keeps for paired tests."""

import math

import numpy as np
import pytest
import torch

from cae_bench.errors import DataError
from cae_bench.evaluation.miou import MeanIoU, confusion


def sample(prediction, label, name='a.png'):
    return dict(
        pred_sem_seg=dict(data=torch.tensor(prediction)[None]),
        gt_sem_seg=dict(data=torch.tensor(label)[None]),
        img_path=f'/data/images/val/{name}',
        seg_map_path=f'/data/annotations/val/{name}',
    )


def evaluate(samples, classes=('sky', 'road', 'car'), **kwargs):
    metric = MeanIoU(**kwargs)
    metric.dataset_meta = dict(classes=classes)
    for one in samples:
        metric.process({}, [one])
    return metric.evaluate(size=len(samples)), metric


TWO = [sample([[0, 0, 1], [1, 1, 1]], [[0, 0, 0], [1, 1, 255]]), sample([[0, 1], [0, 1]], [[1, 1], [0, 255]], 'b.png')]


def test_iou_is_summed_over_the_images_before_dividing():
    scores, metric = evaluate(TWO)
    # sky: hit 2 + 1, union 3 + 2; road: hit 2 + 1, union 3 + 2; car occurs nowhere and is left out
    assert scores == pytest.approx({'mIoU': 60.0, 'mAcc': 100 * (3 / 4 + 3 / 4) / 2, 'aAcc': 100 * 6 / 8})
    assert metric.report.per_class['sky'] == pytest.approx(60) and math.isnan(metric.report.per_class['car'])


def test_counts_of_each_image_are_kept_under_its_name():
    _, metric = evaluate(TWO)
    assert metric.report.per_image.pack() == {
        'image': ['a.png', 'b.png'],
        'intersection': [[2, 2, 0], [1, 1, 0]],
        'union': [[3, 3, 0], [2, 2, 0]],
        'label': [[3, 2, 0], [1, 2, 0]],
    }


def test_images_of_one_name_in_two_folders_are_told_apart():
    samples = [sample([[0]], [[0]], 'night/1.png'), sample([[0]], [[0]], 'day/1.png')]
    assert evaluate(samples)[1].report.per_image.images == ['night/1.png', 'day/1.png']


def test_the_interval_holds_the_score_is_repeatable_and_closes_when_all_images_agree():
    generator = np.random.default_rng(0)
    noisy = [sample(generator.integers(0, 3, (8, 8)), generator.integers(0, 3, (8, 8)), f'{i}.png') for i in range(40)]
    scores, metric = evaluate(noisy)
    low, high = metric.report.ci95['mIoU']
    assert low < scores['mIoU'] < high and high - low > 0.5
    assert evaluate(noisy)[1].report.ci95 == metric.report.ci95
    same = [sample([[0, 1]], [[0, 0]], f'{i}.png') for i in range(5)]
    assert evaluate(same)[1].report.ci95['aAcc'] == pytest.approx((50, 50))
    assert evaluate(same, resamples=0)[1].report.ci95 == {}


def test_counts_and_scores_equal_mmseg_s():
    from mmseg.evaluation.metrics import IoUMetric

    generator = torch.Generator().manual_seed(0)
    classes = tuple(map(str, range(9)))
    theirs = IoUMetric()
    theirs.dataset_meta = dict(classes=classes)
    samples, counts = [], []
    for i in range(6):
        label = torch.randint(0, 9, (33, 47), generator=generator)
        prediction = torch.where(
            torch.rand(label.shape, generator=generator) < 0.6,
            label,
            torch.randint(0, 9, label.shape, generator=generator),
        )
        label[torch.rand(label.shape, generator=generator) < 0.1] = 255
        samples.append(sample(prediction.tolist(), label.tolist(), f'{i}.png'))
        counts.append(IoUMetric.intersect_and_union(prediction, label, 9, 255))
        theirs.process({}, [samples[-1]])
    scores, metric = evaluate(samples, classes)
    for column, position in (('intersection', 0), ('union', 1), ('label', 3)):
        assert metric.report.per_image.pack()[column] == [count[position].long().tolist() for count in counts]
    expected = theirs.evaluate(size=6)  # rounded to two digits there
    assert {k: round(v, 2) for k, v in scores.items()} == pytest.approx({k: expected[k] for k in scores})


def test_ignored_pixels_and_other_dtypes_count_as_they_should():
    label = torch.tensor([[0, 1, 255]], dtype=torch.uint8)
    assert confusion(torch.tensor([[1, 1, 1]]), label, 2).tolist() == [[0, 1], [0, 1]]


def test_a_label_outside_the_classes_is_named_with_its_file():
    with pytest.raises(DataError, match='annotations/val/a.png: label 7 is outside the 3 classes.*reduce_zero_label'):
        evaluate([sample([[0, 0]], [[0, 7]])])


def test_a_label_beyond_the_ignored_one_is_named_too():
    with pytest.raises(DataError, match='label 300 is outside the 3 classes'):
        evaluate([sample([[0, 2]], [[0, 300]])])


def test_a_class_can_be_the_one_ignored():
    counts = confusion(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 0, 1]]), 2, ignore_index=0)
    assert counts.tolist() == [[0, 0], [0, 1]]
