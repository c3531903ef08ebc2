import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import cae_bench
from cae_bench.errors import RecordError
from cae_bench.results import (check_writable, find, load_records, path_for, read_per_image, read_record, write_record)
from cae_bench.results import files


def listing(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


def test_a_record_lies_under_model_dataset_protocol_recipe_fingerprint_and_seed(make, tmp_path):
    record = make('scenes/upernet', model='random:vit-tiny', seed=3)
    path = write_record(tmp_path, record)
    assert path == tmp_path / f'measured/random_vit-tiny/scenes/upernet/mini-{record.fingerprint[:8]}-seed3.json'
    assert read_record(path) == record and read_record(path).path == path


@pytest.mark.parametrize('name, safe', [('random:vit-tiny', 'random_vit-tiny'),
                                        ('timm:vit_base.mae', 'timm_vit_base.mae'),
                                        ('../../etc', '_.._etc'), ('..', 'unnamed'), ('', 'unnamed'), ('ä b', '_b'),
                                        ('x' * 300, None)])
def test_odd_model_names_stay_inside_the_results_folder(make, tmp_path, name, safe):
    path = path_for(tmp_path, make(model=name))
    part = path.relative_to(tmp_path / 'measured').parts[0]
    assert len(part) <= 100 and '/' not in part and part not in ('', '.', '..')
    assert safe is None or part == safe


def test_runs_that_differ_in_anything_never_share_a_file(make, tmp_path):
    runs = [make(), make(seed=1), make(recipe='paper'), make(protocol_version=2), make(limit=8), make(precision='bf16'),
            make(data='other'), make(sha256='b' * 64), make('scenes/knn'), make(model='mae'), make(overrides={'lr': 1})]
    assert len({path_for(tmp_path, run) for run in runs}) == len(runs)


def test_per_image_columns_come_back_as_written(make, tmp_path):
    columns = {'image': ['a.jpg', 'b.jpg'], 'correct': [True, False], 'score': [0.5, None], 'label': [3, 4]}
    write_record(tmp_path, make(), columns)
    record, = load_records(tmp_path)
    assert read_per_image(record) == columns == read_per_image(record.path)
    assert [Path(p).suffix for p in listing(tmp_path)] == ['.json', '.parquet']


def test_a_run_without_per_image_columns_has_none(make, tmp_path):
    assert read_per_image(write_record(tmp_path, make())) is None


@pytest.mark.parametrize('columns', [{'image': ['a'], 'correct': [True, False]}, {'correct': [True]}, {}])
def test_per_image_columns_of_unequal_length_or_without_image_are_refused(make, tmp_path, columns):
    with pytest.raises(RecordError, match="need 'image' first and one value per image"):
        write_record(tmp_path, make(), columns)
    assert listing(tmp_path) == []


def test_a_damaged_parquet_is_named(make, tmp_path):
    path = write_record(tmp_path, make(), {'image': ['a']})
    path.with_suffix('.parquet').write_bytes(b'PAR1 half')
    with pytest.raises(RecordError, match=r'seed0\.parquet: damaged per-image file'):
        read_per_image(path)


def test_a_full_disk_leaves_the_old_record_and_no_temporary_file(make, tmp_path, monkeypatch):
    old = make(value=1.0)
    write_record(tmp_path, old, {'image': ['a']})
    before = listing(tmp_path)

    def full(_):
        raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(files.os, 'fsync', full)
    with pytest.raises(RecordError, match='no space left on the disk, nothing was written. Free some space'):
        write_record(tmp_path, replace(old, wall_time_s=9.0), {'image': ['b']})
    assert listing(tmp_path) == before
    assert load_records(tmp_path) == [old] and read_per_image(load_records(tmp_path)[0]) == {'image': ['a']}


@pytest.mark.parametrize('error, raised', [(OSError(errno.EACCES, 'Permission denied'), RecordError),
                                           (KeyboardInterrupt(), KeyboardInterrupt)])
def test_whatever_stops_the_renaming_no_temporary_file_stays(make, tmp_path, monkeypatch, error, raised):
    write_record(tmp_path, make(value=1.0))
    before = listing(tmp_path)

    def stop(*_):
        raise error
    monkeypatch.setattr(files.os, 'replace', stop)
    with pytest.raises(raised):
        write_record(tmp_path, make(value=2.0))
    monkeypatch.undo()
    assert listing(tmp_path) == before and load_records(tmp_path)[0].metrics['top1'].value == 1.0


def test_an_invalid_record_is_never_written(make, tmp_path):
    with pytest.raises(RecordError, match='field status'):
        write_record(tmp_path, make(status='great'))
    assert listing(tmp_path) == []


def test_a_half_written_file_of_another_process_is_not_a_record(make, tmp_path):
    path = write_record(tmp_path, make())
    path.with_name(f'.{path.name}.1.tmp').write_text('{"schema"')
    assert len(load_records(tmp_path, damaged := [])) == 1 and damaged == []


@pytest.mark.parametrize('content, what', [(b'{"schema": ', 'not a readable record'), (b'', 'not a readable record'),
                                           (b'[]', 'the whole record'), (b'\xff\xfe\x00', 'not a text file'),
                                           (b'{"a": NaN}', 'NaN is not a number')])
def test_a_damaged_record_is_named_and_the_good_ones_are_still_there(make, tmp_path, content, what):
    good = make(model='good')
    write_record(tmp_path, good)
    bad = write_record(tmp_path, make(model='bad'))
    bad.write_bytes(content)
    damaged = []
    assert load_records(tmp_path, damaged) == [good]
    assert len(damaged) == 1 and str(damaged[0]).startswith(str(bad)) and what in str(damaged[0])
    with pytest.warns(UserWarning, match='run the task again'):
        assert cae_bench.load_records(tmp_path) == [good]


def test_a_missing_results_folder_is_an_error_and_an_empty_one_is_empty(tmp_path):
    with pytest.raises(RecordError, match='no such results folder. Make one with `cae-bench run`'):
        load_records(tmp_path / 'nowhere')
    assert load_records(tmp_path) == []


def test_a_results_folder_that_is_a_file_is_refused_before_computing(tmp_path):
    (tmp_path / 'results').write_text('')
    with pytest.raises(RecordError, match='a file stands where a folder is needed. Give another folder with --results'):
        check_writable(tmp_path / 'results')


def test_a_read_only_results_folder_is_refused_before_computing(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, 'Read-only file system')
    monkeypatch.setattr(files.tempfile, 'NamedTemporaryFile', refuse)
    with pytest.raises(RecordError, match=r'measured: cannot be written \(Read-only file system\). Fix'):
        check_writable(tmp_path)


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    check_writable(tmp_path / 'new')
    assert listing(tmp_path) == [] and (tmp_path / 'new/measured').is_dir()


def test_find_knows_what_is_done_by_fingerprint_seed_and_model(make, tmp_path):
    record = make(model='cae:x', seed=2)
    write_record(tmp_path, record)
    assert find(tmp_path, record.fingerprint, 2) == record == find(tmp_path, record.fingerprint, 2, 'cae:x')
    assert find(tmp_path, record.fingerprint, 0) is None and find(tmp_path, record.fingerprint, 2, 'mae') is None
    assert find(tmp_path, record.fingerprint[:8] + '0' * 56, 2) is None
    assert find(tmp_path / 'nowhere', record.fingerprint, 2) is None


def test_failed_and_damaged_runs_do_not_count_as_done(make, tmp_path):
    record = make(status='failed')
    path = write_record(tmp_path, record)
    assert find(tmp_path, record.fingerprint, 0) is None
    path.write_text(json.dumps({'schema': 'x'}))
    assert find(tmp_path, record.fingerprint, 0) is None


def test_reading_results_imports_neither_torch_nor_mmengine_nor_pyarrow(make, tmp_path):
    write_record(tmp_path, make(), {'image': ['a']})
    code = ('import sys; from cae_bench.results import build_table, render;'
            f'print(render(build_table({str(tmp_path)!r})));'
            "print(sorted({'torch', 'mmengine', 'numpy', 'pyarrow', 'jsonschema'} & set(sys.modules)))")
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, env=os.environ)
    assert '50.0' in out.stdout and out.stdout.strip().endswith('[]')
