"""The shipped recipes of frozen protocols: published constants, joined into passes, planned before they run."""

from pathlib import Path

import golden
import pytest
from mmengine.config import Config

from cae_bench.errors import ConfigError
from cae_bench.forecast.probing_cost import count_forwards, head_memory, plan
from cae_bench.forecast.vit_flops import backbone_flops
from cae_bench.probing.probes.linear import LinearProbe
from cae_bench.probing.shared_pass import join, passes, set_grid, share_views
from cae_bench.probing.trainer import HeadTrainer

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
IMAGENET, VAL = 1281167, 50000
BASE = dict(embed_dims=768, num_layers=12, num_heads=12, patch_size=16, mlp_ratio=4.0)


def paper(protocol, arch='vit-base'):
    cfg = Config.fromfile(CONFIGS / protocol / f'{arch}.py')
    cfg.model.backbone.spec = BASE
    return cfg


def trainer(cfg, protocol, num_images=IMAGENET):
    keys = ('batch_size', 'bn_group', 'optimizer', 'schedule')
    made = HeadTrainer(
        protocol,
        LinearProbe(4, 3, [dict(lr=lr) for lr in cfg.model.probes[protocol].grid.lr]),
        **{k: cfg.model.probes[protocol][k] for k in keys},
    )
    made.begin(num_images, cfg.train_cfg.max_epochs)
    return made


def set_to_record(cfg, probe, record):
    """The recipe with the recorded rate, length and warm-up: nothing changes where the record is of this recipe."""
    warmup = record['warmup_epochs']
    if record.get('warmup_steps', -1) > 0:
        warmup = record['warmup_steps'] / record['iters_per_epoch']
    probe.grid.lr = [record['absolute_lr'] if 'absolute_lr' in record else record['base']]
    probe.schedule.update(warmup_epochs=warmup, min_lr=record['min_lr'] if 'min_lr' in record else record['final'])
    cfg.train_cfg.max_epochs = record['epochs']


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('fractional', 'cosine'))
@pytest.mark.parametrize('arch', ['vit-base', 'vit-large'])
def test_the_paper_recipe_follows_the_recorded_learning_rate_at_every_recorded_iteration(name, arch):
    record, tolerance = golden.record(name), golden.tolerance(golden.case_of_record(name)['tolerance'])['rtol']
    protocol = 'linear' if golden.kind_of_record(name) == 'fractional' else 'attentive'
    cfg, per_epoch = paper(protocol, arch), record['iters_per_epoch']
    set_to_record(cfg, cfg.model.probes[protocol], record)
    made = trainer(cfg, protocol, per_epoch * cfg.model.probes[protocol].batch_size)
    assert made.steps_per_epoch == per_epoch and made.epochs == record['epochs']
    for epoch in range(record['epochs']):
        first = record['first_iter_of_epoch'][epoch]
        assert made.lr(epoch * per_epoch)[0] == pytest.approx(first, rel=tolerance, abs=1e-15)
        last = (epoch + 1) * per_epoch - 1
        assert made.lr(last)[0] == pytest.approx(record['last_iter_of_epoch'][epoch], rel=tolerance, abs=1e-15)


@pytest.mark.parametrize('arch', ['vit-base', 'vit-large'])
def test_the_published_schedules_stand_in_the_recipes(arch):
    for protocol, steps, lr, rule, floor in (
        ('linear', 78, 6.4, 'fractional_epoch', 0.0),
        ('attentive', 156, 0.4, 'cosine_table', 1e-6),
    ):
        cfg = paper(protocol, arch)
        made = trainer(cfg, protocol)
        assert (made.steps_per_epoch, made.epochs, made.base) == (steps, 90, [lr])
        assert cfg.model.probes[protocol].schedule == dict(type=rule, warmup_epochs=10, min_lr=floor)


def test_the_published_constants_stand_in_the_recipes():
    linear, attentive = paper('linear').model.probes.linear, paper('attentive').model.probes.attentive
    assert (linear.batch_size, linear.bn_group, linear.grid.lr, linear.bn_eps) == (16384, 512, [6.4], 1e-6)
    assert linear.feature == 'cls'
    assert (attentive.batch_size, attentive.bn_group, attentive.grid.lr, attentive.bn_eps) == (8192, 256, [0.4], 1e-5)
    assert attentive.optimizer.nesterov and attentive.eval_batch_stats == dict(ranks=32, batch_size=384)
    assert paper('knn').model.probes.knn.grid.k[0] == 20 and paper('knn').model.probes.knn.grid.temperature[0] == 0.07
    assert paper('linear').train_dataloader.dataset.views.clamped.type == 'cae_bench.ClampedCropView'
    assert paper('attentive').train_dataloader.dataset.views.crop.type == 'cae_bench.RandomCropView'


def test_linear_attentive_and_knn_join_with_their_own_crops():
    both = join([paper('knn'), paper('linear'), paper('attentive')])
    assert list(both.model.probes) == ['knn', 'linear', 'attentive']
    assert set(both.train_dataloader.dataset.views) == {'eval', 'clamped', 'crop'}
    assert both.train_dataloader.dataset.once == ['eval'] and both.train_cfg.max_epochs == 90
    assert count_forwards(both, IMAGENET, VAL) == IMAGENET * (2 * 90 + 1) + 90 * VAL


def test_sharing_views_saves_a_forward_and_leaves_the_original_alone():
    both = join([paper('linear'), paper('attentive')])
    shared = share_views(both)
    assert list(shared.train_dataloader.dataset.views) == ['clamped']
    assert {p.view for p in shared.model.probes.values()} == {'clamped'}
    assert both.model.probes.attentive.view == 'crop'


def test_a_view_that_one_protocol_needs_in_every_epoch_is_made_in_every_epoch():
    cached = paper('linear')
    cached.train_dataloader.dataset.views.eval = paper('knn').train_dataloader.dataset.views.eval
    assert join([paper('knn'), cached]).train_dataloader.dataset.once == []


def test_passes_keep_together_what_can_share_and_no_more():
    other = paper('attentive')
    other.train_cfg.max_epochs = 50
    assert passes([paper('linear'), other, paper('knn'), paper('attentive')]) == [[0, 2, 3], [1]]


def test_a_grid_spans_the_cells_and_asks_for_a_held_out_choice():
    cfg = set_grid(join([paper('linear'), paper('attentive')]), lr=[0.1, 1.0])
    assert cfg.model.probes.linear.grid.lr == [0.1, 1.0] and cfg.model.probes.linear.hold_out
    assert cfg.train_dataloader.dataset.held_out == 0.1
    assert 'hold_out' not in set_grid(paper('linear'), lr=[3.0]).model.probes.linear
    assert set_grid(paper('linear_multilayer')).model.probes.linear_multilayer.hold_out, 'the recipe chooses a layer'
    with pytest.raises(ConfigError, match='--grid momentum=.*known: lr, weight_decay'):
        set_grid(paper('linear'), momentum=[0.9])


def test_the_plan_names_every_constant_the_accumulation_and_the_cost():
    text = '\n'.join(plan(join([paper('linear'), paper('attentive'), paper('knn')]), IMAGENET, VAL, world_size=8))
    for part in (
        'published 32 x 512; here 8 x 512, 4 groups a step, 78 steps an epoch',
        'lr=[6.4]',
        'lr=[0.4]',
        'min_lr=1e-06',
        'trust_coefficient=0.001',
        'nesterov=True',
        'scale=[0.08, 1.0]',
        'resize=256',
        'about',
        'GiB',
        'feature banks',
    ):
        assert part in text, part


def test_the_plan_says_what_cannot_run():
    text = '\n'.join(plan(paper('linear'), 100, 10, world_size=5))
    assert 'cannot run, its batch of 16384 is larger than the 100 training images' in text
    assert (
        'BatchNorm groups of 512 images cannot be shared by 5 processes: start 1, 2, 4, 8, 16, 32, 64, 128, 256, 512'
        in text
    )


def test_the_memory_of_a_head_on_every_layer_counts_every_layer():
    layers = set_grid(paper('linear_multilayer'))  # 12 heads, and again 12 without held-out images
    weights = 2 * 12 * 1000 * 2 * 768
    assert 3 * 4 * weights < head_memory(layers, BASE) < 4 * 4 * weights


def test_the_cost_of_a_forward_is_that_of_vit_base():
    assert backbone_flops(dict(spec=BASE), (224, 224)) == pytest.approx(2 * 17.56e9, rel=0.01)  # 17.6 GMACs
