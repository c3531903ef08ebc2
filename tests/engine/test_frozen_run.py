"""`cae-bench run` on frozen protocols: what ends up in records, and what is said where something goes wrong."""
import pytest
from frozen_runs import draw_images

from cae_bench import run

TINY = 'random:vit-32x2x2'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return draw_images(tmp_path_factory.mktemp('images'))


@pytest.fixture
def start(data, tmp_path):
    def begin(*protocols, folder=data, **options):
        return run(TINY, [f'own/{p}' for p in protocols], data={'own': str(folder)}, results=tmp_path, recipe='mini',
                   device='cpu', **options)
    return begin


def test_a_protocol_all_of_whose_heads_diverged_costs_the_others_of_its_pass_nothing(start, tmp_path):
    outcome = start('knn', 'linear', 'attentive', grid=dict(lr=[1e30]))
    assert [r.task for r in outcome.records] == ['own/knn']
    assert set(outcome.failures) == {'own/linear', 'own/attentive'} and outcome.exit_code == 1
    assert 'top1 is nan: the training diverged' in outcome.failures['own/linear']
    assert [p.parent.name for p in (tmp_path / 'measured').rglob('*.json')] == ['knn']
