"""Which checkpoint an interrupted run goes on from, and what becomes of those that cannot be read or written."""

import resource
import signal

import pytest
import torch
from dense_runs import end, finish, start

from cae_bench.datasets.scenes.make import make_scenes


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=24, num_val=8, size=64)


@pytest.fixture(scope='module')
def undisturbed(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp('undisturbed')
    finish(start('finetune', scenes, folder))
    return end(folder)


def assert_same(one, other):
    for name, tensor in one[0]['state_dict'].items():
        assert torch.equal(tensor, other[0]['state_dict'][name]), name
    assert one[1]['metrics'] == other[1]['metrics'] and one[1]['extra']['history'] == other[1]['extra']['history']


def files(folder):
    return sorted(path.name for path in (folder / 'work_dirs').rglob('*.pth'))


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def of_another_network(path):
    content = torch.load(path, weights_only=False)
    content['state_dict'].pop('head.weight')
    torch.save(content, path)


def without_optimizer(path):
    content = torch.load(path, weights_only=False)
    content.pop('optimizer')
    torch.save(content, path)


def point_elsewhere(path):
    path.with_name('last_checkpoint').write_text('https://example.org/evil.pth')


@pytest.mark.parametrize(
    'harm, said, after',
    [
        (cut, 'iter_3.pth is damaged: the interrupted run cannot go on from it.', 2),
        (lambda path: path.write_bytes(b''), 'iter_3.pth is damaged', 2),
        (lambda path: path.unlink(), 'iter_2.pth', 2),
        (of_another_network, 'iter_3.pth is of another network (head.weight differs)', 2),
        (without_optimizer, 'iter_3.pth has no optimizer', 2),
        (point_elsewhere, 'iter_3.pth', 3),
        (lambda path: path.with_name('.iter_4.pth.writing').write_bytes(b'half'), 'iter_3.pth', 3),
    ],
)
def test_a_run_goes_on_from_the_newest_file_that_can_be_read(harm, said, after, scenes, undisturbed, tmp_path):
    finish(start('finetune', scenes, tmp_path, kill_at=3), -signal.SIGKILL)
    assert files(tmp_path) == ['iter_2.pth', 'iter_3.pth']
    harm(next((tmp_path / 'work_dirs').rglob('iter_3.pth')))
    finish(start('finetune', scenes, tmp_path))
    lines = (tmp_path / 'said.txt').read_text()
    assert said in lines and f'goes on after iteration {after}, from' in lines
    assert files(tmp_path) == ['iter_5.pth', 'iter_6.pth']
    assert_same(undisturbed, end(tmp_path))
    assert end(tmp_path)[1]['extra']['resumed'] == [after]


def test_a_run_none_of_whose_checkpoints_can_be_read_starts_over_and_says_so(scenes, undisturbed, tmp_path):
    finish(start('finetune', scenes, tmp_path, kill_at=3), -signal.SIGKILL)
    for path in (tmp_path / 'work_dirs').rglob('iter_*.pth'):
        cut(path)
    finish(start('finetune', scenes, tmp_path))
    lines = (tmp_path / 'said.txt').read_text()
    assert lines.count('is damaged') == 2 and 'can be read: starts over' in lines and 'goes on' not in lines
    assert_same(undisturbed, end(tmp_path))
    assert 'resumed' not in end(tmp_path)[1]['extra']


def test_a_run_interrupted_twice_lists_both(scenes, undisturbed, tmp_path):
    for at in (2, 4):
        finish(start('finetune', scenes, tmp_path, kill_at=at), -signal.SIGKILL)
    finish(start('finetune', scenes, tmp_path))
    assert_same(undisturbed, end(tmp_path))
    assert end(tmp_path)[1]['extra']['resumed'] == [2, 4]


def test_no_resume_starts_anew_and_its_files_replace_the_old_ones(scenes, undisturbed, tmp_path):
    finish(start('finetune', scenes, tmp_path, kill_at=5), -signal.SIGKILL)
    finish(start('finetune', scenes, tmp_path, kill_at=2, resume=False), -signal.SIGKILL)
    assert files(tmp_path) == ['iter_1.pth', 'iter_2.pth']  # and none of the 5 updates before
    finish(start('finetune', scenes, tmp_path))
    assert_same(undisturbed, end(tmp_path))
    assert end(tmp_path)[1]['extra']['resumed'] == [2]


def fill_the_disk():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))  # no larger file can be written


def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on(scenes, undisturbed, tmp_path):
    finish(start('finetune', scenes, tmp_path, kill_at=3, then=fill_the_disk))
    assert files(tmp_path) == ['iter_2.pth', 'iter_3.pth']
    assert not list(tmp_path.rglob('*.writing'))
    lines = (tmp_path / 'said.txt').read_text()
    assert 'iter_4.pth could not be written' in lines and 'the checkpoint before it is intact. Free some space' in lines
    content, record = end(tmp_path)
    assert content['meta']['iter'] == 3 and record['metrics'] == undisturbed[1]['metrics']


def test_time_alone_makes_a_checkpoint_in_the_middle_of_an_epoch(scenes, tmp_path):
    options = {'default_hooks.checkpoint.minutes': 0, 'default_hooks.checkpoint.interval': 2}
    finish(start('paper_finetune', scenes, tmp_path, kill_at=5, cfg_options=options), -signal.SIGKILL)
    assert files(tmp_path) == ['iter_4.pth', 'iter_5.pth']
    finish(start('paper_finetune', scenes, tmp_path, cfg_options=options))
    (tmp_path / 'whole').mkdir()
    finish(start('paper_finetune', scenes, tmp_path / 'whole'))
    resumed, whole = end(tmp_path), end(tmp_path / 'whole')
    assert resumed[1]['extra']['resumed'] == [5]
    assert_same(whole, resumed)
