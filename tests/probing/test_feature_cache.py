"""Cached features: computed once, trusted only when whole, and for nothing but what they were made from."""

import multiprocessing
import os
import time

import pytest
import torch
from frozen_runs import config, draw_images, run, scores
from mmengine.config import Config

from cae_bench.errors import ConfigError
from cae_bench.probing.feature_cache import FeatureCache
from cae_bench.probing.model import FrozenProbes


@pytest.fixture
def data(tmp_path):
    return draw_images(tmp_path / 'images')


@pytest.fixture
def counted(monkeypatch):
    """How many images the backbone has seen in training mode."""
    seen = []
    plain = FrozenProbes.features
    monkeypatch.setattr(
        FrozenProbes,
        'features',
        lambda self, images, wanted: (seen.append(len(images)) if self.training else None, plain(self, images, wanted))[
            1
        ],
    )
    monkeypatch.setattr(Config, 'pretty_text', property(lambda self: str(self.to_dict())))
    return seen


def cached(data, tmp_path, epochs=4, **kwargs):
    cfg = config('linear_cached', data, tmp_path, epochs=epochs, batch_size=8, bn_group=8, **kwargs)
    cfg.model.cache_dir = str(tmp_path / 'cache')
    return cfg


def end(runner):
    return runner.model.probes.linear_cached.weight.detach().clone()


def test_every_image_passes_the_backbone_once_and_never_again_in_a_second_run(data, tmp_path, counted):
    first = run(cached(data, tmp_path))
    assert sum(counted) == 48
    second = run(cached(data, tmp_path))
    assert sum(counted) == 48
    assert torch.equal(end(first), end(second)) and scores(first)['linear_cached/top1'] > 50


def test_cached_epochs_train_what_recomputed_features_would(data, tmp_path, counted):
    plain = cached(data, tmp_path)
    plain.model.probes.linear_cached.cached = False
    plain.train_dataloader.dataset.once = []
    torch.testing.assert_close(end(run(cached(data, tmp_path))), end(run(plain)), rtol=1e-5, atol=1e-7)
    assert sum(counted) == 48 + 4 * 48


@pytest.mark.parametrize('change', ['weights', 'view', 'precision', 'normalisation', 'images', 'pixels at one size'])
def test_a_change_of_anything_the_features_come_from_makes_a_new_cache(data, tmp_path, counted, change):
    run(cached(data, tmp_path, epochs=1))
    cfg = cached(data, tmp_path, epochs=1)
    if change == 'weights':
        cfg.randomness.seed = 1
    elif change == 'view':
        cfg.train_dataloader.dataset.views.eval.resize = 18
    elif change == 'precision':
        cfg.model.precision = 'bfloat16'
    elif change == 'normalisation':
        cfg.model.mean = [120.0, 120.0, 120.0]
    else:
        first = data / 'train/class0/0.png'
        raw = first.read_bytes()
        times = first.stat()
        first.write_bytes(raw + b' ' if change == 'images' else (data / 'train/class1/0.png').read_bytes())
        if change != 'images':  # another picture, as long as the old one, with its time
            assert len(raw) >= first.stat().st_size
            first.write_bytes(first.read_bytes().ljust(len(raw)))
            os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    run(cfg)
    assert sum(counted) == 96 and len(list((tmp_path / 'cache').iterdir())) == 2


@pytest.mark.parametrize('damage', ['a byte', 'cut short', 'no seal', 'a strange seal'])
def test_a_damaged_or_half_written_cache_is_noticed_and_built_anew(data, tmp_path, counted, damage):
    whole = end(run(cached(data, tmp_path)))
    rows, seal = next((tmp_path / 'cache').glob('*/bank_*_rows.npy')), next((tmp_path / 'cache').glob('*/seal.json'))
    content = bytearray(rows.read_bytes())
    if damage == 'a byte':
        content[-100] ^= 1
        rows.write_bytes(content)
    elif damage == 'cut short':
        rows.write_bytes(content[:-100])
    else:
        seal.unlink() if damage == 'no seal' else seal.write_text('{')
    assert torch.equal(end(run(cached(data, tmp_path))), whole)
    assert sum(counted) == 96
    run(cached(data, tmp_path))
    assert sum(counted) == 96, 'the rebuilt cache is whole'


def test_a_cache_and_other_protocols_share_a_pass(data, tmp_path, counted):
    cfgs = [
        cached(data, tmp_path, epochs=3),
        config('linear', data, tmp_path, epochs=3, batch_size=8, bn_group=8),
        config('knn', data, tmp_path),
    ]
    for cfg in cfgs:
        cfg.model.cache_dir = str(tmp_path / 'cache')
    runner = run(*cfgs)
    assert set(runner.model.probes) == {'linear_cached', 'linear', 'knn'} and sum(counted) == 48 * (1 + 3)
    alone = run(cached(data, tmp_path, epochs=3))
    torch.testing.assert_close(end(runner), end(alone), rtol=1e-5, atol=1e-7)


def test_tokens_are_not_cached(data, tmp_path):
    with pytest.raises(ConfigError, match='388 GB'):
        run(cached(data, tmp_path, feature='tokens'))


def fill(folder, opened):
    cache = FeatureCache('cls', 4, 2, folder, dict(a=1))
    opened.set()
    time.sleep(1)
    cache.write(torch.arange(4), torch.full((4, 2), 7.0), torch.zeros(4))
    cache.seal()


def test_a_run_waits_for_another_that_is_at_work_on_the_same_cache(tmp_path):
    fork = multiprocessing.get_context('fork')
    opened = fork.Event()
    other = fork.Process(target=fill, args=(tmp_path, opened))
    other.start()
    assert opened.wait(20)
    cache = FeatureCache('cls', 4, 2, tmp_path, dict(a=1))  # would begin anew, under the other's hands
    assert cache.sealed and (cache.rows == 7).all()
    other.join()
