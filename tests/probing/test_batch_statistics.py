"""Evaluation by batch statistics: the batches of the published run, whatever processes and batches computed the features."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DistributedSampler

from cae_bench.errors import ConfigError
from cae_bench.probing.batch_statistics import rank_batches, score
from cae_bench.probing.probes.attentive import AttentiveProbe


def official_batches(images: int, ranks: int, batch_size: int) -> list[list[int]]:
    """By torch's own sampler, as `--dist_eval` deals them."""
    shares = [list(DistributedSampler(range(images), ranks, rank, shuffle=False)) for rank in range(ranks)]
    return [share[i : i + batch_size] for share in shares for i in range(0, len(share), batch_size)]


@pytest.mark.parametrize(
    'images, ranks, batch_size', [(50_000, 32, 384), (1000, 32, 384), (65, 32, 2), (20, 32, 384), (7, 3, 2), (64, 4, 5)]
)
def test_batches_are_those_of_torchs_distributed_sampler(images, ranks, batch_size):
    ours = [(positions % images).tolist() for positions in rank_batches(images, ranks, batch_size)]
    assert ours == official_batches(images, ranks, batch_size)


def test_imagenets_last_batch_of_a_rank_has_27_images_and_16_images_are_repeated():
    batches = rank_batches(50_000, 32, 384)
    assert [len(b) for b in batches[:5]] == [384, 384, 384, 384, 27] and len(batches) == 160
    assert sum(len(b) for b in batches) == 50_016 and sum((b >= 50_000).sum() for b in batches) == 16


@pytest.fixture
def probe():
    torch.manual_seed(0)
    made = AttentiveProbe(12, 10, [{}, {}], num_heads=3, eval_batch_stats=dict(ranks=4, batch_size=6))
    with torch.no_grad():
        made.weight.normal_()
        made.bias.normal_()
    return made


def drawn(images: int) -> tuple[np.ndarray, np.ndarray]:
    """(pooled (N, 2, 12), labels) sorted by class, whose features differ by class: a batch's classes move its mean."""
    rng = np.random.default_rng(1)
    labels = np.sort(rng.integers(0, 10, images))
    centres = 3 * rng.normal(size=(10, 2, 12))
    return (centres[labels] + rng.normal(size=(images, 2, 12))).astype(np.float32), labels


def test_scores_are_those_of_torchs_batch_norm_in_training_mode_over_each_ranks_batches(probe):
    pooled, labels = drawn(101)
    made = score(probe, list(pooled), labels, ranks=4, batch_size=6)
    for cell in range(2):
        first, correct = {}, []
        for own in official_batches(101, 4, 6):
            norm = nn.BatchNorm1d(12, eps=1e-5, affine=False).train()
            with torch.no_grad():
                logits = norm(torch.from_numpy(pooled[own, cell])) @ probe.weight[cell].T + probe.bias[cell]
            for image, scores in zip(own, logits):
                best = scores.topk(5).indices.tolist()
                first.setdefault(image, (best[0], labels[image] in best))
                correct.append(best[0] == labels[image])
        assert made.predicted[:, cell].tolist() == [first[i][0] for i in range(101)]
        assert made.hits[:, cell].tolist() == [first[i][1] for i in range(101)]
        assert made.with_repeats[cell] == pytest.approx(100 * np.mean(correct)) and len(correct) == 104
    assert (made.batches, made.repeats, made.alone) == (20, 3, 0)


def test_it_matters_which_images_form_a_batch(probe):
    pooled, labels = drawn(400)
    dealt = score(probe, list(pooled), labels, ranks=4, batch_size=100).predicted
    in_order = score(probe, list(pooled), labels, ranks=1, batch_size=100).predicted
    assert (dealt != in_order).mean() > 0.2


def test_running_statistics_neither_move_nor_matter_except_for_an_image_alone_in_its_batch(probe):
    pooled, labels = drawn(9)  # 3 ranks of 3: batches of two and of one
    before = probe.norm.running_mean.clone()
    one = score(probe, list(pooled), labels, ranks=3, batch_size=2)
    assert torch.equal(probe.norm.running_mean, before) and one.alone == 3
    probe.norm.running_mean += 100.0
    other = score(probe, list(pooled), labels, ranks=3, batch_size=2)
    same = (one.predicted == other.predicted).all(1)
    assert same[:6].all(), 'images 0 to 5 lie in batches of two'
    assert not same[6:].all()


def test_an_image_left_out_keeps_its_place_and_its_batch_has_one_less(probe):
    pooled, labels = drawn(24)
    without = list(pooled)
    without[4] = None  # rank 0's second image
    made = score(probe, without, labels, ranks=4, batch_size=6)
    kept = [0, 8, 12, 16, 20]
    expected = probe.classify(torch.from_numpy(pooled[kept]), train=True, track=False).argmax(-1)
    assert made.predicted[kept].tolist() == expected.tolist()
    whole = score(probe, list(pooled), labels, ranks=4, batch_size=6)
    others = [i for i in range(24) if i % 4]
    assert (made.predicted[others] == whole.predicted[others]).all()


@pytest.mark.parametrize('wrong', [True, dict(ranks=32), dict(ranks=0, batch_size=384), dict(ranks=2.5, batch_size=1)])
def test_a_rule_that_is_none_is_refused_with_the_published_one(wrong):
    with pytest.raises(ConfigError, match=r'attentive.eval_batch_stats=.*ranks=32, batch_size=384'):
        AttentiveProbe(12, 10, [{}], num_heads=3, eval_batch_stats=wrong)
