"""The hash of a data set follows what its files hold; of a large one, as far as a run can look each time."""

import hashlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cae_bench.datasets import content_hash as module
from cae_bench.datasets.content_hash import content_hash
from cae_bench.datasets.describe import describe
from cae_bench.errors import DataError


@pytest.fixture
def root(tmp_path, monkeypatch):
    """24 files of 5 bytes in two classes; the index in a folder of its own."""
    monkeypatch.setenv('CAE_BENCH_CACHE', str(tmp_path / 'cache'))
    for i in range(24):
        path = tmp_path / 'data' / 'train' / 'ab'[i % 2] / f'{i:02d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'%05d' % i)
    return tmp_path / 'data'


@pytest.fixture
def large(root, monkeypatch):
    monkeypatch.setattr(module, 'WHOLE_FILES', 20)
    monkeypatch.setattr(module, 'SAMPLE', 5)
    return root


def hashed(root, **kwargs):
    sizes = {str(p.relative_to(root / 'train')): p.stat().st_size for p in sorted((root / 'train').rglob('*.png'))}
    return content_hash(root, {'train': sizes}, **kwargs)


def sample_of(root):
    read = []
    plain = module._read
    module._read = lambda root, paths: (read.extend(paths), plain(root, read[-len(list(paths)) :]))[1]
    try:
        hashed(root)
    finally:
        module._read = plain
    return sorted(read)


def rewrite(path, keep_time=False):
    """Other bytes in the same place, of the same number."""
    times = path.stat()
    with open(path, 'r+b') as file:
        file.write(b'x')
    if keep_time:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_the_hash_is_that_of_names_and_contents(root):
    for path in sorted(root.rglob('*.png'))[3:]:
        path.unlink()
    lines = ''.join(f'train/a/{i:02d}.png\0{hashlib.sha256(b"%05d" % i).hexdigest()}\n' for i in (0, 2, 4))
    assert hashed(root).value == hashlib.sha256(lines.encode()).hexdigest()
    assert hashed(root).covers == 'names and contents of all 3 files'


def test_a_picture_changed_in_place_at_its_size_and_time_is_another_data_set(root):
    before = hashed(root)
    rewrite(root / 'train/b/11.png', keep_time=True)
    assert hashed(root).value != before.value and hashed(root).covers == before.covers


def test_what_was_measured_on_the_old_pictures_is_not_already_done_for_the_new_ones(tmp_path):
    from cae_bench import benchmark, checkpoints
    from cae_bench.datasets.scenes.make import make_scenes
    from cae_bench.runs.options import Options
    from cae_bench.tasks import Task

    scenes = make_scenes(tmp_path / 'scenes', num_train=40, num_val=8, size=64)
    ckpt, wanted = checkpoints.load('random:vit-24x2x2'), [Task('scenes', p) for p in ('knn', 'upernet', 'mask_rcnn')]

    def fingerprints():
        return [j.fingerprint for j in benchmark.resolve(wanted, ckpt, {'scenes': str(scenes)}, Options(recipe='mini'))]

    before = fingerprints()
    assert fingerprints() == before
    for path in [*scenes.glob('images/val/*.png'), *scenes.glob('val/*/*.png'), *scenes.glob('images/val/*.jpg')]:
        with open(path, 'r+b') as file:
            file.seek(-1, 2)
            file.write(b'?')
    assert not {*fingerprints()} & {*before}


def test_a_copy_with_other_times_is_the_same_data_set(root, tmp_path):
    shutil.copytree(root, tmp_path / 'copy', copy_function=shutil.copyfile)
    assert hashed(tmp_path / 'copy') == hashed(root)


def test_a_large_folder_is_hashed_by_names_sizes_and_a_sample(large, tmp_path):
    before = hashed(large)
    assert before.covers == 'names and sizes of all 24 files, contents of 5' and hashed(large) == before
    assert len(sample_of(large)) == 5
    shutil.copytree(large, tmp_path / 'copy', copy_function=shutil.copyfile)
    assert hashed(tmp_path / 'copy') == before, 'another machine, other times'
    sampled = large / sample_of(large)[0]
    rewrite(sampled, keep_time=True)
    assert hashed(large).value != before.value
    sampled.rename(sampled.with_name('99.png'))
    assert hashed(large).value not in (before.value, hashed(tmp_path / 'copy').value)


def test_a_large_folder_counts_what_changed_since_it_was_first_seen(large):
    before, beyond = hashed(large), None
    beyond = next(
        large / f'train/{"ab"[i % 2]}/{i:02d}.png'
        for i in range(24)
        if f'train/{"ab"[i % 2]}/{i:02d}.png' not in sample_of(large)
    )
    original = beyond.read_bytes(), beyond.stat()
    rewrite(beyond)
    changed = hashed(large)
    assert changed.value != before.value
    assert changed.covers == 'names and sizes of all 24 files, contents of 5 and of 1 that were modified since'
    new = large / 'train/a/new.png'  # an index of its own must not make the change forgotten
    new.write_bytes(b'12345')
    assert hashed(large).value not in (before.value, changed.value)
    new.unlink()
    assert hashed(large) == changed
    beyond.write_bytes(original[0])
    os.utime(beyond, ns=(original[1].st_atime_ns, original[1].st_mtime_ns))
    assert hashed(large) == before


def test_a_large_folder_of_which_all_was_touched_is_not_read_again_for_ever(large, monkeypatch):
    before = hashed(large)
    monkeypatch.setattr(module, 'WHOLE_FILES', 10)
    for path in large.rglob('*.png'):
        os.utime(path)
    assert hashed(large).value != before.value
    assert hashed(large).covers.endswith('contents of 5, times of 19 that were modified since')
    assert len(sample_of(large)) == 5


@pytest.mark.parametrize('damage', [b'', b'foreign', 'short'])
def test_a_damaged_index_is_begun_anew_with_a_line_that_says_so(large, monkeypatch, damage):
    before, lines = hashed(large), []
    (index,) = module.index_folder().glob('*.npy')
    np.save(index, np.zeros(3)) if damage == 'short' else index.write_bytes(damage)
    monkeypatch.setattr(module, 'say', lines.append)
    assert hashed(large) == before and hashed(large) == before
    assert len(lines) == 1 and f'{index} is damaged' in lines[0]


def test_a_cache_folder_that_cannot_be_written_is_said(large, tmp_path, monkeypatch):
    lines = []
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('CAE_BENCH_CACHE', str(tmp_path / 'file'))
    monkeypatch.setattr(module, 'say', lines.append)
    assert hashed(large).covers.endswith('contents of 5')
    assert len(lines) == 1 and 'cannot be written' in lines[0] and 'CAE_BENCH_CACHE' in lines[0]


def test_a_file_name_that_is_no_text_is_refused_before_anything_is_trained(root):
    (root / 'val').mkdir()
    for name in ('a', 'b'):
        (root / 'val' / name).mkdir()
        (root / 'val' / name / '0.png').write_bytes(b'0')
    with open(os.fsencode(root / 'val/a') + b'/caf\xe9.png', 'wb') as file:
        file.write(b'0')
    with pytest.raises(DataError, match=r'the file name val/a/caf\\xe9.png is no UTF-8 text.*rename'):
        describe('mine', root, 'image_folder')
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'cae_bench',
            'run',
            'random:vit-24x2x2',
            '--tasks',
            'mine/knn',
            '--recipe',
            'mini',
            '--data',
            f'mine={root}',
            '--results',
            str(root / 'r'),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert 'caf\\xe9.png is no UTF-8 text' in done.stderr and not (root / 'r').exists()
