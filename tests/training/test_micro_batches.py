"""The published batch on fewer devices: micro-batches give the weights, schedules and lengths of whole batches."""

import multiprocessing
import os
import random

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner
from torch import nn

from cae_bench.distributed import cpu_processes
from cae_bench.errors import ConfigError, DataError
from cae_bench.forecast.training_cost import length
from cae_bench.paths import shipped
from cae_bench.runs import global_batch as effective_batch
from cae_bench.runs.find import read_header
from cae_bench.runs.header import Header
from cae_bench.training.schedules import poly_with_warmup


@DATASETS.register_module(force=True)
class Numbers(torch.utils.data.Dataset):
    def __init__(self, length):
        generator = torch.Generator().manual_seed(0)
        self.x, self.y = torch.randn(length, 3, generator=generator), torch.randn(length, generator=generator)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return dict(x=self.x[i], y=self.y[i])


@MODELS.register_module(force=True)
class Fit(BaseModel):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
        self.rates, self.sizes = [], []

    def forward(self, x, y, mode='loss'):
        self.sizes.append(len(x))
        return dict(loss=(self.layers(x)[:, 0] - y).square().mean())


UPDATES = {'EpochBasedTrainLoop': dict(max_epochs=2, val_interval=2), 'IterBasedTrainLoop': dict(max_iters=6)}
SCHEDULES = {
    'EpochBasedTrainLoop': dict(
        type='cae_bench.WarmupStepLR', milestones=[1], warmup_iters=2, by_epoch=True, convert_to_iter_based=True
    ),
    'IterBasedTrainLoop': dict(type='cae_bench.WarmupPolyLR', warmup_iters=2, by_epoch=False),
}


def config(folder, loop, images=24, batch=8, clip=0.3, drop_last=False, **train):
    sampler = dict(type='InfiniteSampler' if loop.startswith('Iter') else 'DefaultSampler', shuffle=False)
    return Config(
        dict(
            model=dict(type='Fit'),
            work_dir=str(folder),
            log_level='ERROR',
            default_scope='mmengine',
            randomness=dict(seed=0),
            train_dataloader=dict(
                batch_size=batch,
                num_workers=0,
                drop_last=drop_last,
                sampler=sampler,
                dataset=dict(type='Numbers', length=images),
                collate_fn=dict(type='default_collate'),
            ),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.05), clip_grad=dict(max_norm=clip)
            ),
            param_scheduler=SCHEDULES[loop],
            train_cfg=dict(type=loop, **{**UPDATES[loop], **train}),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=loop.startswith('Epoch'), interval=3)),
        )
    )


def header(**facts):
    """Of a recipe whose updates have 8 images on one device."""
    own = dict(version=1, layout='image_folder', frozen=False, metrics={}, fit={}, global_batch=8, devices=1)
    return Header(**{**own, **facts})


def keep(cfg, devices, own=None):
    cfg.benchmark = {}
    effective_batch.keep(cfg, own or header(), devices, effective_batch.as_published(cfg, own or header()))


def trained(folder, loop, batch, **settings):
    """(model, learning rate of every update, runner) after the training that a recipe of a batch of 8 gives."""
    cfg = config(folder, loop, batch=batch, **settings)
    keep(cfg, 1)
    runner, rates = Runner.from_cfg(cfg), []

    def step(closure=None):
        rates.append(runner.optim_wrapper.optimizer.param_groups[0]['lr'])
        return plain()

    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    plain, runner.optim_wrapper.optimizer.step = runner.optim_wrapper.optimizer.step, step
    return runner.train(), rates, runner


@pytest.mark.parametrize('loop', UPDATES)
@pytest.mark.parametrize('micro', [1, 2, 4])
def test_micro_batches_give_the_weights_and_the_rates_of_whole_batches(loop, micro, tmp_path):
    whole, rates, _ = trained(tmp_path / 'whole', loop, 8)
    parts, same_rates, runner = trained(tmp_path / 'parts', loop, micro)
    assert whole.sizes == [8] * 6 and parts.sizes == [micro] * (48 // micro)
    assert runner.iter == runner.max_iters == 6 and same_rates == rates and len(rates) == 6
    for a, b in zip(whole.parameters(), parts.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_rates_of_accumulated_updates_are_those_of_the_published_formula(tmp_path):
    _, rates, _ = trained(tmp_path, 'IterBasedTrainLoop', 2)
    assert rates == pytest.approx([poly_with_warmup(i, 0.05, 6, warmup=2) for i in range(6)], rel=1e-12)


def test_the_gradient_is_clipped_once_an_update_as_a_whole(tmp_path):
    whole, _, _ = trained(tmp_path / 'a', 'IterBasedTrainLoop', 8, clip=1e-3)
    parts, _, _ = trained(tmp_path / 'b', 'IterBasedTrainLoop', 2, clip=1e-3)
    loose, _, _ = trained(tmp_path / 'c', 'IterBasedTrainLoop', 8, clip=1e3)
    a, b, c = (next(m.parameters()) for m in (whole, parts, loose))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert (a - c).abs().max() > 1e-5


@pytest.mark.parametrize('drop_last, updates', [(False, 8), (True, 6)])
def test_an_update_that_the_data_cannot_fill_is_taken_or_dropped_like_a_whole_batch(drop_last, updates, tmp_path):
    settings = dict(images=28, drop_last=drop_last)  # 3 updates of 8 and one of 4, twice
    whole, rates, _ = trained(tmp_path / 'whole', 'EpochBasedTrainLoop', 8, **settings)
    parts, same_rates, runner = trained(tmp_path / 'parts', 'EpochBasedTrainLoop', 2, **settings)
    assert len(rates) == updates == runner.iter == runner.max_iters and rates == same_rates
    for a, b in zip(whole.parameters(), parts.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_resumed_training_goes_on_with_the_images_it_had_not_seen(tmp_path):
    uninterrupted, _, _ = trained(tmp_path / 'a', 'IterBasedTrainLoop', 2)
    cfg = config(tmp_path / 'a', 'IterBasedTrainLoop', batch=2)  # iter_3.pth is half of the way
    keep(cfg, 1)
    cfg.work_dir, cfg.load_from, cfg.resume = str(tmp_path / 'b'), str(tmp_path / 'a/iter_3.pth'), True
    resumed = Runner.from_cfg(cfg).train()
    assert resumed.sizes == [2] * 12
    for a, b in zip(uninterrupted.parameters(), resumed.parameters()):
        assert torch.equal(a, b)


def one_of_two(rank, folder, loop, batch, own):
    here = dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT='29741')
    os.environ.update(here)
    cfg = config(folder, loop, batch=batch)
    cfg.update(cpu_processes.join('torchrun'), launcher='pytorch')
    keep(cfg, 2, own)
    runner = Runner.from_cfg(cfg)
    runner.train()
    torch.save(
        dict(
            weights=dict(runner.model.module.state_dict()),
            sizes=runner.model.module.sizes,
            micro_batches=cfg.train_cfg.get('micro_batches'),
        ),
        folder / f'{rank}.pth',
    )


def ends_of_two(folder, loop, batch, own=None):
    """How the trainings of two processes end, each with `batch` images in its loader's config."""
    fork = multiprocessing.get_context('fork')
    children = [fork.Process(target=one_of_two, args=(rank, folder, loop, batch, own)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]
    return [torch.load(folder / f'{rank}.pth', weights_only=True) for rank in range(2)]


@pytest.mark.parametrize('loop', UPDATES)
def test_two_processes_that_accumulate_give_the_weights_of_one_that_does_not(loop, tmp_path):
    whole, _, _ = trained(tmp_path / 'whole', loop, 8)
    first, second = ends_of_two(tmp_path, loop, 2)
    assert first['micro_batches'] == second['micro_batches'] == 2
    for name, tensor in whole.state_dict().items():
        assert torch.equal(first['weights'][name], second['weights'][name])
        torch.testing.assert_close(tensor, first['weights'][name], rtol=1e-4, atol=1e-6)


def test_a_recipe_for_one_device_shares_its_batch_among_two_processes(tmp_path):
    whole, _, _ = trained(tmp_path / 'whole', 'IterBasedTrainLoop', 8)
    first, second = ends_of_two(tmp_path, 'IterBasedTrainLoop', 8, header(global_batch=None))
    assert first['sizes'] == second['sizes'] == [4] * 6 and whole.sizes == [8] * 6
    for name, tensor in whole.state_dict().items():
        assert torch.equal(first['weights'][name], second['weights'][name])
        torch.testing.assert_close(tensor, first['weights'][name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('protocol, batch', [('finetune', 24), ('upernet', 8), ('linear_seg', 8), ('mask_rcnn', 4)])
def test_mini_recipes_are_for_one_device_and_keep_their_batch_on_two(protocol, batch):
    one, two = kept(f'{protocol}/mini.py', 1), kept(f'{protocol}/mini.py', 2)
    assert one.train_dataloader.batch_size == batch and two.train_dataloader.batch_size == batch // 2
    assert two.train_cfg == one.train_cfg and length(two, Header.of(two), 1000) == length(
        one, Header.of(one), 1000
    ) == (
        one.train_cfg.max_iters,
        one.train_cfg.max_iters * batch,
    )
    assert two.benchmark.batch == f'batch {batch}; here: 2 x {batch // 2}' and 'batch' not in one.benchmark


def test_processes_that_cannot_share_the_batch_are_told_how_many_can():
    with pytest.raises(
        ConfigError, match='a batch of 24 cannot be shared by 5 processes: start 1, 2, 3, 4, 6, 8, 12, 24'
    ):
        kept('finetune/mini.py', 5)


def test_training_by_iterations_on_data_that_ends_is_refused(tmp_path):
    cfg = config(tmp_path, 'IterBasedTrainLoop', images=12, batch=2)
    cfg.train_dataloader.sampler.type = 'DefaultSampler'
    keep(cfg, 1)
    with pytest.raises(ConfigError, match='InfiniteSampler'):
        Runner.from_cfg(cfg).train()


def kept(protocol, devices, **changes):
    cfg = Config(Config.fromfile(shipped('configs') / protocol).to_dict())
    published = effective_batch.as_published(cfg, Header.of(cfg).note(cfg, config=protocol))
    cfg.merge_from_dict(changes)
    effective_batch.keep(cfg, Header.of(cfg), devices, published)
    return cfg


@pytest.mark.parametrize(
    'devices, per_device, says',
    [
        (8, 2, 'batch 16; published: 8 x 2; here: 8 x 2'),
        (1, 16, 'batch 16; published: 8 x 2; here: 1 x 16'),
        (
            1,
            2,
            'batch 16; published: 8 x 2; here: 1 x 2, 8 accumulated steps; batch norms see 2 images at a time '
            '(published: 16)',
        ),
        (
            2,
            4,
            'batch 16; published: 8 x 2; here: 2 x 4, 2 accumulated steps; batch norms see 8 images at a time '
            '(published: 16)',
        ),
    ],
)
def test_a_run_says_how_the_published_batch_is_made(devices, per_device, says):
    cfg = kept('upernet/cae_vit-base.py', devices, **{'train_dataloader.batch_size': per_device})
    assert cfg.benchmark.batch == says
    steps = 16 // devices // per_device
    assert cfg.train_cfg.get('micro_batches', 1) == steps
    assert cfg.train_cfg.type == ('IterBasedTrainLoop' if steps == 1 else 'cae_bench.UpdatesByIteration')


def test_the_large_fine_tuning_recipe_accumulated_already():
    cfg = kept('finetune/cae_vit-large.py', 4, **{'train_dataloader.batch_size': 32})
    assert cfg.benchmark.batch == (
        'batch 4096; published: 32 x 64, 2 accumulated steps; here: 4 x 32, 32 accumulated '
        'steps; mixup is drawn for 32 images at a time (published: 64)'
    )


@pytest.mark.parametrize(
    'devices, per_device, says',
    [
        (
            1,
            3,
            '1 device x 3 images do not divide the published batch of 16. '
            'Choose --cfg-options train_dataloader.batch_size=N among 1, 2, 4, 8, 16',
        ),
        (16, 2, 'among 1'),
        (1, 32, 'among 1, 2, 4, 8, 16'),
        (3, 2, 'Start another number of processes'),
    ],
)
def test_a_batch_that_does_not_divide_names_those_that_do(devices, per_device, says):
    with pytest.raises(ConfigError, match=says):
        kept('upernet/cae_vit-base.py', devices, **{'train_dataloader.batch_size': per_device})


def test_accumulation_by_hand_and_too_few_images_are_refused():
    with pytest.raises(ConfigError, match='leave it out'):
        kept('upernet/cae_vit-base.py', 1, **{'optim_wrapper.accumulative_counts': 8})
    cfg = kept('finetune/mae_vit-base.py', 1)
    with pytest.raises(DataError, match='40 training images are fewer than the published batch of 1024'):
        effective_batch.check_enough(cfg, Header.of(cfg), 40)


@pytest.mark.parametrize(
    'changes, says',
    [
        (
            {},
            r'with 2 images at a time. Try --cfg-options train_dataloader.batch_size=1 \(the batch is kept\) or '
            r'model.backbone.with_cp=true',
        ),
        ({'train_dataloader.batch_size': 1}, 'Try --cfg-options model.backbone.with_cp=true'),
        ({'train_dataloader.batch_size': 1, 'model.backbone.with_cp': True}, 'needs a device with more memory'),
    ],
)
def test_a_lack_of_memory_names_what_needs_less(changes, says):
    cfg = kept('upernet/cae_vit-base.py', 1, **changes)
    with pytest.raises(ConfigError, match=says), effective_batch.memory_advice(cfg, Header.of(cfg)):
        raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')
    with pytest.raises(RuntimeError, match='another'), effective_batch.memory_advice(cfg, Header.of(cfg)):
        raise RuntimeError('another error')


@MODELS.register_module(force=True)
class Draws(BaseModel):
    """Keeps what each micro-batch would draw, from every generator that a model may ask."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.drawn = []

    def forward(self, x, y, mode='loss'):
        self.drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
        return dict(loss=self.weight.sum() * self.drawn[-1][0])


def drawn(folder, batch, **train):
    cfg = config(folder, 'IterBasedTrainLoop', batch=batch, max_iters=3)
    keep(cfg, 1)
    effective_batch.by_updates(cfg, header())
    cfg.model.type = 'Draws'
    cfg.train_cfg.update(train)
    return Runner.from_cfg(cfg).train().drawn


def test_every_micro_batch_of_every_update_draws_its_own_numbers(tmp_path):
    by_four = drawn(tmp_path / 'a', 2)
    assert len(by_four) == 12 and all(len(set(numbers)) == 12 for numbers in zip(*by_four))
    by_two = drawn(tmp_path / 'b', 4)  # micro-batches 0 and 1 of each update, however many there are
    assert by_two == [by_four[i] for i in (0, 1, 4, 5, 8, 9)]


def test_a_recipe_whose_devices_had_one_seed_draws_once_an_update(tmp_path):
    numbers = drawn(tmp_path, 2, random_numbers_per='update')
    assert [numbers[i] for i in (0, 4, 8)] == [numbers[i] for i in (3, 7, 11)] and len(set(numbers)) == 3
    assert read_header(shipped('configs') / 'upernet/cae_vit-base.py').random_numbers_per == 'update'
    for other in ('finetune/cae_vit-base.py', 'mask_rcnn/cae_vit-base.py', 'vitdet_mask_rcnn/mae_vit-base.py'):
        assert read_header(shipped('configs') / other).random_numbers_per == 'micro_batch'


def test_another_way_to_draw_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="random_numbers_per='seed': choose micro_batch or update"):
        drawn(tmp_path, 2, random_numbers_per='seed')


def test_a_sampler_whose_order_is_not_known_is_refused(tmp_path):
    cfg = config(tmp_path, 'IterBasedTrainLoop', batch=2)
    cfg.train_dataloader.sampler.type = 'ClassAwareSampler'
    keep(cfg, 1)
    with pytest.raises(ConfigError, match='sampler.type=ClassAwareSampler'):
        Runner.from_cfg(cfg).train()
