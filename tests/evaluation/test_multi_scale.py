"""Averaging the views of an image, hand-worked."""

from types import SimpleNamespace

import torch

from cae_bench.evaluation.multi_scale import average, views


def sample(logits):
    return SimpleNamespace(
        seg_logits=SimpleNamespace(data=torch.tensor(logits).view(-1, 1, 1)), pred_sem_seg=SimpleNamespace(data=None)
    )


def test_a_batch_of_views_becomes_one_batch_for_each_view():
    batch = {'inputs': [['a', 'b'], ['c', 'd']], 'data_samples': [[1, 2], [3, 4]]}
    first, second = views(batch)
    assert first == {'inputs': ['a', 'b'], 'data_samples': [1, 2]}
    assert second == {'inputs': ['c', 'd'], 'data_samples': [3, 4]}


def test_probabilities_are_averaged_and_not_logits():
    # Mean logits (5, 3.5) would choose class 0; mean probabilities (0.5, 0.5 and a little) choose class 1.
    predictions = iter([[sample([10.0, 0.0, 0.0])], [sample([0.0, 7.0, 0.0])], [sample([0.0, 1.0, 0.0])]])
    (merged,) = average(lambda batch: next(predictions), [{}, {}, {}])
    assert merged.pred_sem_seg.data.tolist() == [[[1]]]
    assert not hasattr(merged, 'seg_logits')


def test_images_of_a_batch_are_kept_apart():
    predictions = iter([[sample([2.0, 0.0]), sample([0.0, 2.0])], [sample([1.0, 0.0]), sample([0.0, 1.0])]])
    first, second = average(lambda batch: next(predictions), [{}, {}])
    assert (first.pred_sem_seg.data.item(), second.pred_sem_seg.data.item()) == (0, 1)
