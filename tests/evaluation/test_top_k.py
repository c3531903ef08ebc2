"""Accuracy of one classifier, on predictions worked by hand."""

import pytest
import torch
from mmengine.logging import MessageHub

from cae_bench.evaluation.top_k import EPOCHS, Accuracy


def evaluated(scores, labels):
    metric = Accuracy()
    metric.process(
        {},
        [
            dict(image=f'c/{i}.jpg', label=label, scores=torch.tensor(row))
            for i, (row, label) in enumerate(zip(scores, labels))
        ],
    )
    return metric, metric.evaluate(len(labels))


def test_top1_and_top5_are_percentages_of_the_images():
    scores = [
        [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
        [0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        [0.6, 0.1, 0.1, 0.1, 0.1, 0.1],
    ]
    _, metrics = evaluated(scores, [5, 5, 1, 0])  # right, not among five, among five, right
    assert metrics == {'top1': 50.0, 'top5': 75.0}


def test_every_image_keeps_its_name_label_and_prediction():
    metric, _ = evaluated([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    assert metric.report.per_image.pack() == dict(
        image=['c/0.jpg', 'c/1.jpg'], label=[1, 1], prediction=[1, 0], correct=[True, False]
    )


def test_with_few_classes_top5_is_full():
    assert evaluated([[0.1, 0.9], [0.8, 0.2]], [1, 1])[1]['top5'] == 100.0


def test_equal_scores_count_for_the_first_class():
    metric, _ = evaluated([[0.25, 0.25, 0.25, 0.25]], [0])
    assert metric.report.per_image.prediction.tolist() == [0]


def test_the_interval_is_wilsons():
    scores = [[0.0, 1.0]] * 10
    metric, _ = evaluated(scores, [1] * 8 + [0] * 2)  # 8 of 10: 49.02 to 94.33 (Wilson 1927, z 1.96)
    assert metric.report.ci95['top1'] == pytest.approx((49.02, 94.33), abs=0.01)


def test_the_best_epoch_stands_beside_the_last_and_the_first_of_equals_counts():
    hub, metric = MessageHub.get_instance('best-epoch'), Accuracy(best_epoch=True)
    said = []
    for epoch, right in enumerate([5, 8, 8, 6]):
        hub.update_info('epoch', epoch)  # from 0, as mmengine's hook writes it
        for i in range(10):
            metric.process(
                {}, [dict(image=f'{i}.jpg', label=1, scores=torch.tensor([0.0, 1.0] if i < right else [1.0, 0.0]))]
            )
        said.append(metric.evaluate(10))
    assert [m['top1'] for m in said] == [50.0, 80.0, 80.0, 60.0] and [m['top1_best_epoch'] for m in said] == [
        50.0,
        80.0,
        80.0,
        80.0,
    ]
    assert metric.report.details == dict(best_epoch=2, epochs_validated=4)
    assert metric.report.ci95['top1_best_epoch'] == pytest.approx((49.02, 94.33), abs=0.01)
    assert metric.report.per_image.correct.sum() == 6, 'images are those of the last epoch'
    assert hub.get_info(EPOCHS) == {1: 5, 2: 8, 3: 8, 4: 6}


def test_a_network_that_was_not_trained_has_no_best_epoch():
    MessageHub.get_instance('no-epoch')
    metric = Accuracy(best_epoch=True)
    metric.process({}, [dict(image='a.jpg', label=1, scores=torch.tensor([0.0, 1.0]))])
    assert metric.evaluate(1) == {'top1': 100.0, 'top5': 100.0} and not metric.report.details
