"""A run of many tasks leaves no file open behind any of them."""

import contextlib
import gc
import os
import sys

import pytest

import cae_bench
from cae_bench.datasets.scenes.make import make_scenes


def open_files() -> list[str]:
    gc.collect()
    found = []
    for number in os.listdir('/proc/self/fd'):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.append(os.readlink(f'/proc/self/fd/{number}'))
    return sorted(found)


@pytest.mark.skipif(sys.platform != 'linux', reason='/proc/self/fd is counted')
def test_no_file_stays_open_after_a_task(tmp_path):
    scenes = make_scenes(tmp_path / 'scenes', num_train=40, num_val=8, size=64)
    counts = []
    for seed in range(3):
        outcome = cae_bench.run(
            'random:vit-24x2x2',
            tasks=['scenes/knn', 'scenes/linear_cached', 'scenes/finetune'],
            data={'scenes': str(scenes)},
            results=tmp_path / 'r',
            recipe='mini',
            shorten=0.002,
            seed=seed,
            device='cpu',
        )
        assert not outcome.failures
        left = [path for path in open_files() if str(tmp_path) in path]
        assert not left, left
        counts.append(len(open_files()))
    assert counts[1] == counts[2], 'the first run opens what stays'
