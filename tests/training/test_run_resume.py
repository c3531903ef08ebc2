"""A training killed at any update ends with the weights, scores and history of one that nobody disturbed."""

import random
import signal

import pytest
import torch
from dense_runs import ITERATIONS, end, finish, start

from cae_bench.datasets.scenes.make import make_scenes

PROTOCOLS = ('finetune', 'paper_finetune', 'upernet', 'linear_seg', 'mask_rcnn', 'vitdet_mask_rcnn')


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=24, num_val=8, size=64)


@pytest.fixture(scope='module')
def undisturbed(scenes, tmp_path_factory):
    """protocol -> the end of a run that nobody disturbed; each is made once."""
    made = {}

    def of(protocol):
        if protocol not in made:
            folder = tmp_path_factory.mktemp(protocol)
            finish(start(protocol, scenes, folder))
            made[protocol] = end(folder)
        return made[protocol]

    return of


def assert_same(one, other):
    (a, record), (b, other_record) = one, other
    assert a['state_dict'].keys() == b['state_dict'].keys()
    for name, tensor in a['state_dict'].items():
        assert torch.equal(tensor, b['state_dict'][name]), name
    assert str(a['optimizer']) == str(b['optimizer'])
    assert record['metrics'] == other_record['metrics']
    assert record['extra']['history'] == other_record['extra']['history']
    assert record['fingerprint'] == other_record['fingerprint']


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_run_killed_on_its_way_ends_where_an_undisturbed_one_does(protocol, scenes, undisturbed, tmp_path):
    at = random.Random(protocol).randrange(1, ITERATIONS)
    finish(start(protocol, scenes, tmp_path, kill_at=at), -signal.SIGKILL)
    finish(start(protocol, scenes, tmp_path, workers=2))  # a loader with workers resumes by another way
    resumed = end(tmp_path)
    assert_same(undisturbed(protocol), resumed)
    saved = at if protocol != 'paper_finetune' else at // 6 * 6
    assert resumed[1]['extra'].get('resumed') == ([saved] if saved else None)
    assert 'resumed' not in undisturbed(protocol)[1]['extra']


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_worker_processes_do_not_move_the_end(protocol, scenes, undisturbed, tmp_path):
    finish(start(protocol, scenes, tmp_path, workers=2))
    a, b = undisturbed(protocol), end(tmp_path)
    for name, tensor in a[0]['state_dict'].items():
        assert torch.equal(tensor, b[0]['state_dict'][name]), name
    assert a[1]['metrics'] == b[1]['metrics']
