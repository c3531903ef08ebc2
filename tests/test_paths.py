"""A file that is replaced is the old one or the new one, whole, and no draft stays."""

import errno
import os

import pytest

from cae_bench.paths import replacing, replacing_together


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_take_their_places_together_in_the_order_given_and_durable(tmp_path, monkeypatch):
    calls = []
    for name in ('fsync', 'replace'):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1])
    with replacing_together(tmp_path / 'new/a', tmp_path / 'new/b') as (a, b):
        a.write_text('1'), b.write_text('2')
        assert names(tmp_path / 'new') == sorted([a.name, b.name])
    assert [(tmp_path / 'new' / name).read_text() for name in names(tmp_path / 'new')] == ['1', '2']
    assert calls == ['fsync', 'fsync', 'replace', 'replace', 'fsync']  # the last one is of the folder


@pytest.mark.parametrize('error', [OSError(errno.ENOSPC, 'No space left on device'), KeyboardInterrupt(), ValueError()])
def test_whatever_goes_wrong_the_old_file_stays_and_no_draft(tmp_path, error):
    (tmp_path / 'a').write_text('old')
    with pytest.raises(type(error)), replacing(tmp_path / 'a') as draft:
        draft.write_text('half')
        raise error
    assert names(tmp_path) == ['a'] and (tmp_path / 'a').read_text() == 'old'


def test_two_writers_of_one_file_have_drafts_of_their_own(tmp_path):
    with replacing(tmp_path / 'a') as one:
        one.write_text('1')
        with replacing(tmp_path / 'a') as other:
            other.write_text('2')
        assert (tmp_path / 'a').read_text() == '2'
    assert (tmp_path / 'a').read_text() == '1' and names(tmp_path) == ['a']


def test_a_draft_of_a_killed_process_is_written_over_where_nobody_else_writes(tmp_path):
    (tmp_path / '.a.writing').write_text('left by a killed process')
    with replacing(tmp_path / 'a', alone=True) as draft:
        draft.write_text('new')
    assert names(tmp_path) == ['a'] and (tmp_path / 'a').read_text() == 'new'


@pytest.mark.parametrize('number, raised', [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch, number, raised):
    real = os.fsync

    def sync(descriptor):
        if os.path.isdir(f'/proc/self/fd/{descriptor}'):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, 'fsync', sync)
    try:
        with replacing(tmp_path / 'a') as draft:
            draft.write_text('new')
    except OSError as error:
        assert raised and error.errno == number
    else:
        assert not raised
    assert (tmp_path / 'a').read_text() == 'new'
