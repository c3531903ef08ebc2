"""The whole walk: a checkpoint goes in, a record for every task comes out."""

import json
import signal
import subprocess
import sys
import time

import children
import pytest

from cae_bench.commands.demo import PROTOCOLS
from cae_bench.datasets.scenes.make import make_scenes

TINY = 'random:vit-32x2x2'


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=48, num_val=8, size=64)


def command(scenes, results, tasks, *more) -> list[str]:
    where = ['--data', f'scenes={scenes}', '--results', str(results), '--device', 'cpu']
    return ['run', TINY, '--recipe', 'mini', '--tasks', tasks, *where, *more]


def start(arguments: list[str]) -> subprocess.Popen:
    """The command line as a user starts it: not deaf to Ctrl-C, as children of a background job are."""
    return subprocess.Popen(
        [sys.executable, '-m', 'cae_bench', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run_to_the_end(folder, arguments: list[str], code: int = 0) -> str:
    """What the command line prints, in a child that ends with this exit code."""
    folder.mkdir(exist_ok=True)
    log = folder / 'output.txt'
    children.finish(children.start(children.cae_bench, *arguments, log=log), log, code)
    return log.read_text()


def records(results) -> dict[str, dict]:
    return {r['task']: r for r in (json.loads(p.read_text()) for p in (results / 'measured').rglob('*.json'))}


def test_every_protocol_leaves_a_record_and_a_second_run_does_nothing(scenes, tmp_path):
    from cae_bench import run

    tasks = [f'scenes/{p}' for p in PROTOCOLS]
    options = dict(tasks=tasks, data={'scenes': str(scenes)}, results=tmp_path, recipe='mini', shorten=0.005)
    outcome = run(TINY, **options)
    assert not outcome.failures
    made = records(tmp_path)
    assert sorted(made) == sorted(tasks)
    for task, record in made.items():
        shortened = {} if task == 'scenes/knn' else {'shorten': 0.005}
        assert record['recipe'] == 'mini' and record['overrides'] == shortened
        assert record['dataset']['num_train'] == 48 and record['status'] == 'ok'
        assert all(0 <= m['value'] <= 100 for m in record['metrics'].values()), task
    assert made['scenes/linear']['wall_time_s'] == made['scenes/knn']['wall_time_s']  # one pass served both
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / 'measured').rglob('*.json')}
    again = run(TINY, **options)
    assert [r.task for r in again.records] == tasks
    assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / 'measured').rglob('*.json')}


def test_ctrl_c_keeps_what_is_finished_and_the_next_run_goes_on(scenes, tmp_path):
    arguments = command(scenes, tmp_path, 'scenes/knn,scenes/finetune', '--shorten', '0.05')
    first = start(arguments)
    deadline = time.monotonic() + 300
    while not list(tmp_path.rglob('knn/*.json')) and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    said = first.communicate(timeout=200)[1]
    assert first.returncode == 130, said
    assert 'the same command goes on from there' in said and 'Traceback' not in said
    assert list(records(tmp_path)) == ['scenes/knn']
    shown = run_to_the_end(tmp_path, arguments)
    assert sorted(records(tmp_path)) == ['scenes/finetune', 'scenes/knn']
    assert 'top-1' in shown and 'mini' in shown  # the table


def test_a_task_that_fails_does_not_cost_the_others(scenes, tmp_path):
    broken = tmp_path / 'scenes'
    make_scenes(broken, num_train=40, num_val=7, size=64, seed=3)
    victim = next((broken / 'images/train').iterdir())
    content = victim.read_bytes()
    victim.unlink()  # the class folder holds the same file under another name
    victim.write_bytes(content[:200])
    said = run_to_the_end(tmp_path / 'r', command(broken, tmp_path / 'r', 'scenes/upernet,scenes/knn'), code=1)
    assert victim.name in said and 'Traceback' not in said
    assert list(records(tmp_path / 'r')) == ['scenes/knn']
