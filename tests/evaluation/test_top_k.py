"""Accuracy of one classifier, on predictions worked by hand."""
import pytest
import torch

from cae_bench.evaluation.top_k import Accuracy


def evaluated(scores, labels):
    metric = Accuracy()
    metric.process({}, [dict(image=f'c/{i}.jpg', label=label, scores=torch.tensor(row))
                        for i, (row, label) in enumerate(zip(scores, labels))])
    return metric, metric.evaluate(len(labels))


def test_top1_and_top5_are_percentages_of_the_images():
    scores = [[.0, .1, .2, .3, .4, .5], [.5, .4, .3, .2, .1, .0], [.1, .2, .3, .4, .5, .6], [.6, .1, .1, .1, .1, .1]]
    _, metrics = evaluated(scores, [5, 5, 1, 0])                     # right, not among five, among five, right
    assert metrics == {'top1': 50.0, 'top5': 75.0}


def test_every_image_keeps_its_name_label_and_prediction():
    metric, _ = evaluated([[.1, .9], [.8, .2]], [1, 1])
    assert metric.per_image == dict(image=['c/0.jpg', 'c/1.jpg'], label=[1, 1], prediction=[1, 0],
                                    correct=[True, False])


def test_with_few_classes_top5_is_full():
    assert evaluated([[.1, .9], [.8, .2]], [1, 1])[1]['top5'] == 100.0


def test_equal_scores_count_for_the_first_class():
    metric, _ = evaluated([[.25, .25, .25, .25]], [0])
    assert metric.per_image['prediction'] == [0]


def test_the_interval_is_wilsons():
    scores = [[.0, 1.]] * 10
    metric, _ = evaluated(scores, [1] * 8 + [0] * 2)                 # 8 of 10: 49.02 to 94.33 (Wilson 1927, z 1.96)
    assert metric.ci95['top1'] == pytest.approx((49.02, 94.33), abs=0.01)
