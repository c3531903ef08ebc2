"""Order, batches and augmentation of training images, whatever the workers, the devices and the interruptions."""

import random

import numpy as np
import pytest
import torch
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import BatchSampler, DataLoader

from cae_bench.datasets.seeded import DealtBatches, SeededDataset, SeededOrder


@DATASETS.register_module(force=True)
class Noise(torch.utils.data.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(1).item()


@DATA_SAMPLERS.register_module(force=True)
class OddAndEven(BatchSampler):
    """Odd images and even ones in batches of their own, as mmdet groups by aspect ratio."""

    def __iter__(self):
        groups = [], []
        for key in self.sampler:
            groups[key[2] % 2].append(key)
            if len(groups[key[2] % 2]) == self.batch_size:
                yield groups[key[2] % 2][:]
                groups[key[2] % 2].clear()
        left = groups[0] + groups[1]
        yield from (left[i : i + self.batch_size] for i in range(0, len(left), self.batch_size))


def batches(dataset=None, skip=0, rank=0, world=1, endless=False, **settings):
    made = DealtBatches(SeededOrder(dataset or Noise(), seed=3, endless=endless), **{'batch_size': 2, **settings})
    made.rank, made.world_size, made.skip = rank, world, skip
    return made


def seen(epoch=0, workers=0, **how):
    dataset = SeededDataset(dict(type='Noise'))
    made = batches(dataset, **how)
    made.sampler.set_epoch(epoch)
    loader = DataLoader(dataset, batch_sampler=made, num_workers=workers, collate_fn=list)
    return [sample for batch in loader for sample in batch]


def test_every_image_has_its_own_numbers_in_every_epoch():
    one, two = seen(epoch=0), seen(epoch=1)
    assert sorted(s[0] for s in one) == sorted(s[0] for s in two) == list(range(10))
    assert [s[0] for s in one] != [s[0] for s in two]
    for generator in (1, 2, 3):
        assert len({s[generator] for s in one + two}) == 20


@pytest.mark.parametrize('workers', [0, 1, 2])
def test_neither_workers_nor_an_interruption_move_an_image_or_its_numbers(workers):
    whole = seen()
    assert seen(workers=workers) == whole
    assert seen(workers=workers, skip=3) == whole[6:]


@pytest.mark.parametrize('batch_sampler', [None, dict(type='OddAndEven')])
@pytest.mark.parametrize('world', [1, 2, 5])
def test_devices_take_the_batches_of_one_in_turn(world, batch_sampler):
    whole = list(batches(batches=batch_sampler))
    dealt = [list(batches(rank=rank, world=world, batches=batch_sampler)) for rank in range(world)]
    assert len({len(own) for own in dealt}) == 1 and len(dealt[0]) == -(-5 // world) == len(batches(world=world))
    in_turn = [batch for row in zip(*dealt) for batch in row]
    assert in_turn[:5] == whole and in_turn[5:] == whole[: len(in_turn) - 5]  # its first ones again


def test_with_drop_last_the_rest_is_left_out():
    whole = list(batches())
    dealt = [list(batches(rank=rank, world=2, drop_last=True)) for rank in range(2)]
    assert dealt == [whole[0:4:2], whole[1:4:2]] and len(batches(world=2, drop_last=True)) == 2
    assert [len(b) for b in batches(batch_size=4, drop_last=True)] == [4, 4]


def test_an_endless_order_goes_through_every_image_before_any_comes_again():
    keys = [key for _, batch in zip(range(10), batches(endless=True)) for key in batch]
    assert sorted(key[2] for key in keys[:10]) == sorted(key[2] for key in keys[10:]) == list(range(10))
    assert [key[1] for key in keys] == [0] * 10 + [1] * 10 and len(set(keys)) == 20
    assert [key for _, batch in zip(range(3), batches(endless=True, skip=7)) for key in batch] == keys[14:]
    own = [list(zip(range(5), batches(endless=True, rank=rank, world=2))) for rank in range(2)]
    assert [key for pair in zip(*own) for _, batch in pair for key in batch] == keys
