"""What the commands say of odd results folders and odd names: a subprocess, its exit code, its lines."""

import os
import subprocess
import sys

import pytest


def cae_bench(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, '-m', 'cae_bench', *map(str, arguments)],
        cwd=cwd,
        timeout=120,
        capture_output=True,
        env={**os.environ, 'LC_ALL': 'C.UTF-8'},
    )
    assert b'Traceback' not in done.stderr
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize('command', [('table',), ('compare', 'a', 'b'), ('ls', 'models')])
@pytest.mark.parametrize('folder', ['missing', 'empty'])
def test_without_a_record_one_line_says_how_to_make_one(tmp_path, command, folder):
    (tmp_path / 'empty').mkdir()
    code, out, err = cae_bench(*command, '--results', folder, cwd=tmp_path)
    lines = [line for line in (out + err).splitlines() if line]
    assert code == (0 if command[0] == 'ls' and folder == 'empty' else 2)
    assert len(lines) == 1 and f'{folder}: no ' in lines[0] and '`cae-bench run' in lines[0]


def test_a_dry_run_needs_no_results_folder_and_makes_none(tmp_path):
    code, _, err = cae_bench(
        'run', 'random:vit-tiny', '--recipe', 'mini', '--tasks', 'in1k/knn', '--dry-run', cwd=tmp_path
    )
    assert code == 0 and 'in1k/knn' in err and list(tmp_path.iterdir()) == []


def test_a_line_of_the_log_shows_escape_sequences(capsys):
    import logging

    from cae_bench.logs import LOGGER, say, speak_on_terminal

    before = LOGGER.handlers[:], LOGGER.level, LOGGER.propagate
    try:
        speak_on_terminal()
        say('a\x1b[31m/b\n12:00:00  c: done')
    finally:
        LOGGER.handlers, LOGGER.propagate = before[0], before[2]
        LOGGER.setLevel(before[1])
        logging.captureWarnings(False)
    assert r'a\x1b[31m/b\n12:00:00  c: done' in capsys.readouterr().err
