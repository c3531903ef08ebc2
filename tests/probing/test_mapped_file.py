"""Banks and caches on disk: room is taken first, and what is no whole file is made anew with a line that says so."""

import errno
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cae_bench.errors import ConfigError
from cae_bench.probing import feature_cache, mapped_file
from cae_bench.probing.feature_bank import FeatureBank
from cae_bench.probing.feature_cache import FeatureCache

FILL = """import sys, torch
from cae_bench.probing.feature_bank import FeatureBank
bank = FeatureBank('cls', 4000, 1000, sys.argv[1])
bank.write(torch.arange(4000), torch.ones(4000, 1000), torch.zeros(4000))
"""


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / 'small'
    folder.mkdir()
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]).returncode:
        pytest.skip('a small disk cannot be mounted here')
    yield folder
    subprocess.run(['umount', folder], check=True)


@pytest.fixture
def lines(monkeypatch):
    said = []
    for module in (mapped_file, feature_cache):
        monkeypatch.setattr(module, 'say', said.append)
    return said


def test_a_bank_larger_than_its_disk_is_refused_with_both_sizes_instead_of_ending_the_process(small_disk):
    done = subprocess.run([sys.executable, '-c', FILL, str(small_disk)], capture_output=True, text=True)
    assert done.returncode == 1, f'killed by signal {-done.returncode}'
    message = done.stderr.strip().splitlines()[-1]
    assert f"{small_disk}: the feature bank 'cls' needs 16.0 MB here and 4.2 MB are free." in message
    assert '--results' in message and not list(small_disk.iterdir())


def test_a_cache_larger_than_its_disk_names_the_setting_of_its_folder(small_disk):
    with pytest.raises(ConfigError, match="feature cache 'cls' needs 16.0 MB.*CAE_BENCH_CACHE"):
        FeatureCache('cls', 4000, 1000, small_disk, dict(a=1))


def test_without_the_call_that_takes_room_the_free_space_is_asked(tmp_path, monkeypatch):
    monkeypatch.delattr(os, 'posix_fallocate')
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: SimpleNamespace(free=1))
    with pytest.raises(ConfigError, match='needs 120.0 kB here and 0.0 kB are free'):
        FeatureBank('cls', 100, 300, tmp_path)


def test_every_block_of_a_new_file_is_on_the_disk(tmp_path):
    FeatureBank('cls', 1000, 1000, tmp_path)
    file = (tmp_path / 'bank_cls_rows.npy').stat()
    assert file.st_size == 4_000_128 and file.st_blocks * 512 >= file.st_size


@pytest.mark.parametrize('what', ['rows', 'labels'])
@pytest.mark.parametrize(
    'damage, why',
    [
        (b'', 'is empty'),
        (b'hello', 'is no array file'),
        (b'\x93NUMPY\x01\x00\xff\xff{', 'is no array file'),
        ('short', 'holds'),
        ('shape', r'holds \(3, 2\) float32, not'),
        ('pickle', 'holds'),
    ],
)
def test_a_file_that_is_not_whole_is_made_anew_with_its_companion(tmp_path, lines, what, damage, why):
    bank = FeatureBank('cls', 4, 2, tmp_path)
    bank.write(torch.arange(4), torch.ones(4, 2), torch.ones(4))
    del bank
    path = tmp_path / f'bank_cls_{what}.npy'
    if damage == 'short':
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == 'shape':
        np.save(path, np.zeros((3, 2), np.float32))
    elif damage == 'pickle':
        np.save(path, np.array([{}]), allow_pickle=True)
    else:
        path.write_bytes(damage)
    again = FeatureBank('cls', 4, 2, tmp_path, fresh=False)
    assert not again.complete and (again.labels == -1).all() and (again.rows == 0).all()
    assert len(lines) == 1 and lines[0].startswith(f'{path} {why[:5]}') and 'made anew' in lines[0]
    del again
    assert FeatureBank('cls', 4, 2, tmp_path, fresh=False).labels.tolist() == [-1] * 4 and len(lines) == 1


def test_a_whole_file_is_taken_as_it_is(tmp_path, lines):
    bank = FeatureBank('cls', 4, 2, tmp_path)
    bank.write(torch.tensor([1, 2]), torch.full((2, 2), 3.0), torch.tensor([0, 1]))
    del bank
    again = FeatureBank('cls', 4, 2, tmp_path, fresh=False)
    assert again.labels.tolist() == [-1, 0, 1, -1] and again.rows[1].tolist() == [3, 3] and not lines


@pytest.mark.parametrize('damage', [b'', b'foreign'])
def test_a_cache_with_a_foreign_file_is_computed_again_and_not_an_error_for_ever(tmp_path, lines, damage):
    def opened():
        return FeatureCache('cls', 4, 2, tmp_path, dict(a=1))

    def filled(cache):
        cache.write(torch.arange(4), torch.full((4, 2), 7.0), torch.zeros(4))
        cache.seal()
        return cache

    folder = filled(opened()).folder
    (folder / 'bank_cls_rows.npy').write_bytes(damage)
    cache = opened()
    assert not cache.sealed and any('computed again' in line for line in lines)
    filled(cache)
    assert opened().sealed


def test_an_error_that_is_no_lack_of_room_stays_what_it_is(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EIO, 'broken')

    monkeypatch.setattr(os, 'posix_fallocate', refuse)
    with pytest.raises(OSError, match='broken'):
        FeatureBank('cls', 4, 2, tmp_path)
