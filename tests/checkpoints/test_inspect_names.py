"""A checkpoint may be called anything, and so may its entries: `inspect` shows a name and obeys nothing in it."""

import os
import subprocess
import sys

import pytest
import torch
from checkpoint_layouts import beit

NAME = 'vit\x1b[31m\u202e.pth'


def inspect(path, cwd):
    done = subprocess.run(
        [sys.executable, '-m', 'cae_bench', 'inspect', path],
        cwd=cwd,
        timeout=120,
        capture_output=True,
        env={**os.environ, 'LC_ALL': 'C.UTF-8'},
    )
    shown = (done.stdout + done.stderr).decode()
    assert not set(shown) & {'\x1b', '\u202e', '\x07', '\r'} and 'Traceback' not in shown
    return done.returncode, shown


def test_names_of_a_file_and_its_entries_are_shown_and_not_obeyed(tmp_path):
    torch.save({'model': beit(), 'meta\x1b[2J\nfamily      trusted': 1}, tmp_path / NAME)
    code, shown = inspect(NAME, tmp_path)
    assert code == 0 and shown.count('\nfamily ') == 1
    assert r'vit\x1b[31m\u202e.pth' in shown and r'meta\x1b[2J\nfamily      trusted' in shown


@pytest.mark.parametrize('content', [None, b'nothing', {'a\x1b[31m\x07.weight\r': torch.zeros(2)}])
def test_so_does_an_error(tmp_path, content):
    if isinstance(content, bytes):
        (tmp_path / NAME).write_bytes(content)
    elif content:
        torch.save(content, tmp_path / NAME)
    code, shown = inspect(NAME, tmp_path)
    assert code == 2 and r'vit\x1b[31m\u202e.pth' in shown
