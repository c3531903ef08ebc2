"""The order of images in a pass: one order for all processes, dealt out in whole BatchNorm groups."""

import math
from collections.abc import Iterator

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from ..registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class PassSampler(Sampler):
    """Yields (seed, epoch, index). The order depends on seed and epoch, not on the number of processes.

    Consecutive blocks of `block` images go to the processes in turn, so that one process and many form the same
    groups. With several processes the order is padded from its start: each gets whole blocks, and equally many.

    Attributes:
        block: images dealt out together; the train loop sets it to a multiple of every probe's BatchNorm group.
        pad: give all processes equally many; off where each only counts what it sees.
        skip: images of this process to leave out at the start of the next pass: those an interrupted run has seen.
    """

    def __init__(self, dataset, seed: int | None = None, shuffle: bool = True, block: int = 1):
        self.rank, self.world_size = get_dist_info()
        self.size, self.seed, self.shuffle, self.block = len(dataset), seed or 0, shuffle, block
        self.epoch = self.skip = 0
        self.pad = True

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        if self.world_size == 1:
            return self.size
        if not self.pad:
            return len(range(self.rank, self.size, self.world_size))
        return math.ceil(self.size / (self.block * self.world_size)) * self.block

    def order(self) -> list[int]:
        """All images in the order of this epoch."""
        if not self.shuffle:
            return list(range(self.size))
        return order(self.size, self.seed, self.epoch)

    def own(self) -> list[int]:
        """This process's share of them."""
        order = self.order()
        if self.world_size == 1:
            return order
        if not self.pad:
            return order[self.rank :: self.world_size]
        total = len(self) * self.world_size
        order = (order * math.ceil(total / self.size))[:total]
        blocks = range(self.rank * self.block, total, self.block * self.world_size)
        return [i for start in blocks for i in order[start : start + self.block]]

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        own, self.skip = self.own()[self.skip :], 0
        seed, epoch = self.seed, self.epoch
        return ((seed, epoch, i) for i in own)


def order(size: int, seed: int, epoch: int) -> list[int]:
    """A random order of so many images, one for each seed and epoch."""
    rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(size, generator=rng).tolist()
