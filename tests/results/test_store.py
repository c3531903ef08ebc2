import errno
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import cae_bench
from cae_bench.errors import RecordError
from cae_bench.results import (
    build_table,
    check_writable,
    files,
    find,
    load_records,
    path_for,
    read_per_image,
    read_record,
    render,
    write_record,
)


def listing(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


def test_a_record_lies_under_model_dataset_protocol_recipe_fingerprint_and_seed(make, tmp_path):
    record = make('scenes/upernet', model='random-vit-tiny', seed=3)
    path = write_record(tmp_path, record)
    assert path == tmp_path / f'measured/random-vit-tiny/scenes/upernet/mini-{record.fingerprint[:8]}-seed3.json'
    assert read_record(path) == record and read_record(path).path == path


@pytest.mark.parametrize(
    'name, safe',
    [
        ('cae_base-1600e.v2+ema', 'cae_base-1600e.v2+ema'),
        ('random:vit-tiny', 'random_vit-tiny'),
        ('timm:vit_base.mae', 'timm_vit_base.mae'),
        ('../../etc', '_.._etc'),
        ('..', 'unnamed'),
        ('', 'unnamed'),
        ('ä b', '_b'),
        ('x' * 300, 'x' * 91),
    ],
)
def test_odd_model_names_stay_inside_the_results_folder(make, tmp_path, name, safe):
    path = path_for(tmp_path, make(model=name))
    part = path.relative_to(tmp_path / 'measured').parts[0]
    assert len(part) <= 100 and '/' not in part and part not in ('', '.', '..')
    assert part == (safe if safe == name else f'{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}')


def test_runs_that_differ_in_anything_never_share_a_file(make, tmp_path):
    runs = [
        make(),
        make(seed=1),
        make(recipe='paper'),
        make(protocol_version=2),
        make(limit=8),
        make(precision='bf16'),
        make(data='other'),
        make(sha256='b' * 64),
        make('scenes/knn'),
        make(model='mae'),
        make(overrides={'lr': 1}),
    ]
    assert len({path_for(tmp_path, run) for run in runs}) == len(runs)


def test_per_image_columns_come_back_as_written(make, tmp_path):
    columns = {'image': ['a.jpg', 'b.jpg'], 'correct': [True, False], 'score': [0.5, None], 'label': [3, 4]}
    write_record(tmp_path, make(), columns)
    (record,) = load_records(tmp_path)
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


def test_a_parquet_that_is_a_fifo_or_names_no_images_is_named(make, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = write_record(tmp_path, make())
    for columns in ({'correct': [True]}, {'image': [1]}):
        pq.write_table(pa.table(columns), path.with_suffix('.parquet'))
        with pytest.raises(RecordError, match=r'seed0\.parquet: damaged per-image file'):
            read_per_image(path)
    path.with_suffix('.parquet').unlink()
    os.mkfifo(path.with_suffix('.parquet'))
    with pytest.raises(RecordError, match=r'seed0\.parquet: damaged per-image file \(no regular file\)'):
        read_per_image(path)


def test_a_full_disk_leaves_the_old_record_and_no_temporary_file(make, tmp_path, monkeypatch):
    old = make(value=1.0)
    write_record(tmp_path, old, {'image': ['a']})
    before = listing(tmp_path)

    def full(_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(RecordError, match='no space left on the disk, nothing was written. Free some space'):
        write_record(tmp_path, replace(old, wall_time_s=9.0), {'image': ['b']})
    assert listing(tmp_path) == before
    assert load_records(tmp_path) == [old] and read_per_image(load_records(tmp_path)[0]) == {'image': ['a']}


@pytest.mark.parametrize(
    'error, raised',
    [(OSError(errno.EACCES, 'Permission denied'), RecordError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_whatever_stops_the_renaming_no_temporary_file_stays(make, tmp_path, monkeypatch, error, raised):
    write_record(tmp_path, make(value=1.0))
    before = listing(tmp_path)

    def stop(*_):
        raise error

    monkeypatch.setattr(os, 'replace', stop)
    with pytest.raises(raised):
        write_record(tmp_path, make(value=2.0))
    monkeypatch.undo()
    assert listing(tmp_path) == before and load_records(tmp_path)[0].metrics['top1'].value == 1.0


def test_an_invalid_record_is_never_written(make, tmp_path):
    with pytest.raises(RecordError, match='field started'):
        write_record(tmp_path, make(started='today'))
    assert listing(tmp_path) == []


def test_a_half_written_file_of_another_process_is_not_a_record(make, tmp_path):
    path = write_record(tmp_path, make())
    path.with_name(f'.{path.name}.1.tmp').write_text('{"schema"')
    assert len(load_records(tmp_path, damaged := [])) == 1 and damaged == []


@pytest.mark.parametrize(
    'content, what',
    [
        (b'{"schema": ', 'not a readable record'),
        (b'', 'not a readable record'),
        (b'[]', 'the whole record'),
        (b'\xff\xfe\x00', 'not a text file'),
        (b'{"a": NaN}', 'NaN is not a number'),
    ],
)
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


def nested(depth):
    return b'{"a":' * depth + b'1' + b'}' * depth


@pytest.mark.parametrize(
    'content, what',
    [
        (nested(100_000), 'not a readable record (maximum recursion depth exceeded'),
        (b'[' * 100_000, 'not a readable record (maximum recursion depth exceeded'),
        (b'{"a": 1' + b'0' * 400 + b'}', 'a number of 401 digits'),
        (b'{"a": 1' + b'0' * 9000 + b'}', 'a number of 9001 digits'),
        (b'{"a": 1e400}', '1e400 is no finite number'),
        (b'{"a": -1e+9999}', '-1e+9999 is no finite number'),
        (b'{"a": Infinity}', 'Infinity is not a number'),
    ],
)
def test_no_content_of_one_file_hides_the_others(make, tmp_path, content, what):
    write_record(tmp_path, good := make(model='good'))
    bad = write_record(tmp_path, make(model='bad'))
    bad.write_bytes(content)
    assert load_records(tmp_path, damaged := []) == [good]
    assert [str(error).startswith(f'{bad}: ') and what in str(error) for error in damaged] == [True]
    assert len(str(damaged[0])) < len(str(bad)) + 300


@pytest.mark.parametrize('number', ['1e400', '1' + '0' * 400, '-5', '1234', '"50"', 'NaN'])
def test_no_number_of_one_record_hides_the_others_or_is_shown(make, tmp_path, number):
    write_record(tmp_path, good := make(model='good'))
    bad = write_record(tmp_path, make(model='bad', value=87.654321))
    bad.write_text(bad.read_text().replace('87.654321', number))
    assert load_records(tmp_path, damaged := []) == [good] and len(damaged) == 1
    assert render(build_table(tmp_path)).count('| measured |') == 1


def test_a_thousand_records_are_read_and_shown_within_a_second(make, tmp_path):
    import time

    shipped = Path(__file__).resolve().parents[2] / 'results/measured/cae_vit-tiny_scenes/scenes/upernet'
    data = json.loads(next(shipped.glob('*.json')).read_text())
    for seed in range(1000):
        path = tmp_path / f'measured/m{seed % 20}/scenes/upernet/mini-{data["fingerprint"][:8]}-seed{seed}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps({**data, 'seed': seed, 'model': {**data['model'], 'name': f'm{seed % 20}'}}, indent=1)
        )

    def seconds() -> float:
        started = time.process_time()  # of this process: others may be at work
        assert len(build_table(tmp_path).rows) == 20
        return time.process_time() - started

    assert any(seconds() < 1 for _ in range(3))


@pytest.mark.parametrize(
    'make_bad, what',
    [
        (lambda path: path.mkdir(), 'no regular file'),
        (os.mkfifo, 'no regular file'),
        (lambda path: path.symlink_to('nowhere'), 'cannot be read (No such file or directory)'),
        (lambda path: path.symlink_to(path.name), 'cannot be read (Too many levels of symbolic links)'),
        (lambda path: path.symlink_to('/dev/zero'), 'no regular file'),
        (
            lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 65 * 2**20),
            '65 MiB are too many for a record',
        ),
    ],
)
def test_what_is_no_file_of_a_record_neither_blocks_nor_hides(make, tmp_path, make_bad, what):
    path = write_record(tmp_path, good := make())
    make_bad(bad := path.with_name('x.json'))
    assert load_records(tmp_path, damaged := []) == [good]
    assert [str(error).startswith(f'{bad}: ') and what in str(error) for error in damaged] == [True]


def test_a_record_that_may_not_be_read_is_named(make, tmp_path, monkeypatch):
    write_record(tmp_path, good := make())
    bad = write_record(tmp_path, make(model='bad'))
    read = Path.read_text

    def refuse(path, *arguments, **options):  # the tests may run as root, whom no mode stops
        if path == bad:
            raise PermissionError(errno.EACCES, 'Permission denied', str(path))
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, 'read_text', refuse)
    assert load_records(tmp_path, damaged := []) == [good]
    assert f'{bad}: cannot be read (Permission denied)' in str(damaged[0])


def test_a_record_of_a_newer_version_is_neither_done_nor_run_again(make, tmp_path):
    record = make()
    path = write_record(tmp_path, record)
    path.write_text(path.read_text().replace('cae-bench/record/1', 'cae-bench/record/2'))
    with pytest.raises(RecordError, match='written by a newer cae_bench.*Upgrade cae_bench'):
        find(tmp_path, record.fingerprint, 0, 'cae')


def test_a_name_that_is_no_utf8_is_written_and_read_back(make, tmp_path):
    record = make(model='file\udcff', extra={'images': ['a\udc80.jpg']})
    assert read_record(write_record(tmp_path, record)) == record


@pytest.mark.parametrize(
    'names', [('a/b', 'a_b'), ('a_b', 'a/b'), ('a:b', 'a b'), ('a_b', '.a_b.'), ('x' * 300, 'x' * 301)]
)
def test_two_names_of_one_file_name_have_their_own_records(make, tmp_path, names):
    first, second = (make(model=name, value=value) for name, value in zip(names, (1.0, 2.0)))
    assert first.fingerprint == second.fingerprint
    paths = [write_record(tmp_path, first)]
    assert find(tmp_path, first.fingerprint, 0, names[1]) is None
    paths.append(write_record(tmp_path, second))
    assert paths[0] != paths[1]
    for name, record in zip(names, (first, second)):
        assert find(tmp_path, record.fingerprint, 0, name) == record


def test_a_record_in_the_folder_of_an_older_version_is_found_by_its_own_name_alone(make, tmp_path):
    record = make(model='a/b')
    new = write_record(tmp_path, record)
    old = new.parents[2].with_name('a_b') / new.relative_to(new.parents[2])
    new.parents[2].rename(old.parents[2])
    assert (
        find(tmp_path, record.fingerprint, 0, 'a/b').path == old
        and find(tmp_path, record.fingerprint, 0, 'a_b') is None
    )
    write_record(tmp_path, other := make(model='a_b', value=1.0))  # its place is taken: it lies elsewhere
    assert read_record(old) == record and find(tmp_path, other.fingerprint, 0, 'a_b') == other


def test_where_upper_and_lower_case_are_one_folder_both_records_stay(make, tmp_path):
    lower = make(model='cae')
    path = write_record(tmp_path, lower)
    os.symlink(path.parents[2], path.parents[2].with_name('CAE'))  # as on a file system that ignores case
    write_record(tmp_path, upper := make(model='CAE', value=1.0))
    assert read_record(path) == lower
    assert find(tmp_path, upper.fingerprint, 0, 'CAE') == upper and find(tmp_path, lower.fingerprint, 0, 'cae') == lower


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
    record = make()
    path = write_record(tmp_path, record)
    path.write_text(path.read_text().replace('"status": "ok"', '"status": "failed"'))
    assert find(tmp_path, record.fingerprint, 0) is None
    path.write_text(json.dumps({'schema': 'x'}))
    assert find(tmp_path, record.fingerprint, 0) is None


def test_reading_results_imports_neither_torch_nor_mmengine_nor_pyarrow(make, tmp_path):
    write_record(tmp_path, make(), {'image': ['a']})
    code = (
        'import sys; from cae_bench.results import build_table, render;'
        f'print(render(build_table({str(tmp_path)!r})));'
        "print(sorted({'torch', 'mmengine', 'numpy', 'pyarrow', 'jsonschema'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, env=os.environ)
    assert '50.0' in out.stdout and out.stdout.strip().endswith('[]')
