"""Closed-form few-shot heads against scikit-style normal equations, and what they refuse."""

import pytest
import torch

from cae_bench.errors import DataError
from cae_bench.probing.feature_bank import FeatureBank
from cae_bench.probing.probes.ridge import RidgeProbe, ridge


@pytest.mark.parametrize('images, dims', [(40, 7), (5, 30)])
def test_ridge_solves_the_normal_equations_with_many_images_and_with_few(images, dims):
    torch.manual_seed(0)
    x, targets, penalties = torch.randn(images, dims).double(), torch.randn(images, 3).double(), [0.5, 20.0]
    for weights, penalty in zip(ridge(x, targets, penalties), penalties):
        expected = torch.linalg.solve(x.T @ x + penalty * torch.eye(dims).double(), x.T @ targets)
        torch.testing.assert_close(weights, expected, rtol=1e-8, atol=1e-10)


def filled(shots, count=6, classes=3, name='fewshot'):
    torch.manual_seed(0)
    labels = torch.arange(classes).repeat(count)
    rows = torch.randn(classes, 8)[labels] * 4 + torch.randn(len(labels), 8)
    probe = RidgeProbe(8, classes, [dict(l2=1.0), dict(l2=1024.0)], shots=shots, name=name)
    probe.bank = FeatureBank('cls', len(labels), 8)
    probe.bank.write(torch.arange(len(labels)), rows, labels)
    return probe, rows, labels


def test_a_few_images_of_separable_classes_are_enough():
    probe, rows, labels = filled(shots=5)
    probe.prepare()
    assert (probe.predict(rows).argmax(-1) == labels[:, None]).float().mean(0).min() > 0.9


def test_the_choice_of_images_belongs_to_the_seed_and_fewer_shots_are_part_of_more(monkeypatch):
    seen = {}
    for shots in (1, 2):
        probe, rows, _ = filled(shots, name=f'fewshot_{shots}')
        monkeypatch.setattr(
            probe, '_inputs', lambda x, s=shots: seen.__setitem__(s, {tuple(r.tolist()) for r in x}) or x
        )
        probe.prepare()
    assert len(seen[1]) == 3 and len(seen[2]) == 6 and seen[1] < seen[2]


def test_a_class_with_fewer_images_than_shots_is_named():
    probe = RidgeProbe(8, 3, [dict(l2=1.0)], shots=2, name='fewshot_2')
    probe.check([0, 0, 1, 1, 2, 2], ('cat', 'dog', 'owl'))
    with pytest.raises(DataError, match=r'fewshot_2 takes 2 .* of each class; fewer are there of dog \(1\), owl \(0\)'):
        probe.check([0, 0, 1], ('cat', 'dog', 'owl'))
