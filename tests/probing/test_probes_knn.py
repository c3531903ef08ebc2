"""k-NN votes against hand-worked values and a search over the whole bank at once."""

import numpy as np
import pytest
import torch

from cae_bench.probing.feature_bank import FeatureBank
from cae_bench.probing.probes.knn import KNNProbe, nearest, vote


def test_search_in_blocks_finds_what_a_search_over_everything_finds():
    torch.manual_seed(0)
    bank, labels, queries = torch.randn(1000, 16), torch.randint(0, 7, (1000,)), torch.randn(9, 16)
    cosine = torch.nn.functional.cosine_similarity(queries[:, None], bank[None], dim=-1)
    best, index = cosine.topk(50)
    for size in (1000, 333, 40):  # also with fewer rows in a block than neighbours
        blocks = [(bank[i : i + size], labels[i : i + size]) for i in range(0, 1000, size)]
        similarity, found = nearest(queries, blocks, 50)
        torch.testing.assert_close(similarity, best)
        assert torch.equal(found, labels[index])


def test_votes_are_weighted_by_the_exponential_of_similarity():
    similarity, labels = torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[0, 1, 1]])
    scores = vote(similarity, labels, num_classes=3, k=3, temperature=0.1)
    expected = [1, np.exp(-1) + np.exp(-2), 0]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-5)
    assert vote(similarity, labels, 3, k=3, temperature=10.0).argmax() == 1  # nearly one vote each
    assert vote(similarity, labels, 3, k=1, temperature=10.0).argmax() == 0  # only the nearest counts


def test_a_very_low_temperature_does_not_overflow():
    scores = vote(torch.tensor([[0.99, 0.98]]), torch.tensor([[2, 0]]), 3, k=2, temperature=1e-4)
    assert torch.isfinite(scores).all() and scores.argmax() == 2


def test_every_cell_has_its_own_k_and_a_bank_smaller_than_k_is_used_whole():
    probe = KNNProbe(2, 2, [dict(k=1, temperature=1.0), dict(k=200, temperature=100.0)])
    probe.bank = FeatureBank('cls', 3, 2)
    probe.bank.write(torch.arange(3), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]]), torch.tensor([0, 1, 1]))
    assert probe.predict(torch.tensor([[1.0, 0.1]])).argmax(-1).tolist() == [[0, 1]]


def test_a_bank_on_disk_keeps_its_rows_when_it_is_opened_again(tmp_path):
    bank = FeatureBank('cls', 4, 2, tmp_path)
    bank.write(torch.tensor([1, 3]), torch.ones(2, 2), torch.tensor([5, 6]))
    again = FeatureBank('cls', 4, 2, tmp_path, fresh=False)
    assert again.labels.tolist() == [-1, 5, -1, 6] and not again.complete
    again.write(torch.tensor([0, 2]), torch.zeros(2, 2), torch.tensor([7, 8]))
    assert again.complete
    assert FeatureBank('cls', 5, 2, tmp_path, fresh=False).labels.tolist() == [-1] * 5  # another data set: begun anew
    again.delete()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('size', [1, 3, 10])
def test_blocks_cover_the_bank_in_order(size):
    bank = FeatureBank('cls', 7, 1)
    bank.write(torch.arange(7), torch.arange(7.0)[:, None], torch.arange(7))
    parts = list(bank.blocks(size, 'cpu'))
    assert torch.cat([r for r, _ in parts]).flatten().tolist() == list(range(7))
    assert torch.cat([y for _, y in parts]).tolist() == list(range(7))
