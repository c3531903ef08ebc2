"""Training images whose augmentation depends on the run's seed, the epoch and the image, and on nothing else.

Pipelines of mmseg, mmdet and timm draw from the global generators of Python, NumPy and PyTorch. Here these are seeded
anew for every image, in whichever process reads it: neither the number of worker processes nor an interruption moves
an augmentation.
"""

from collections.abc import Iterator
from itertools import count, cycle, islice

from mmengine.dist import get_dist_info
from torch.utils.data import BatchSampler, Dataset, Sampler

from ..registry import DATA_SAMPLERS, DATASETS
from .pass_sampler import order
from .random_numbers import seed_by


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A data set indexed by (seed, epoch, index) instead of index; in all else it is the one it wraps.

    The image that mmengine's data sets draw in place of one that their pipeline refuses depends on the same seed.
    """

    def __init__(self, dataset: dict):
        self.dataset = DATASETS.build(dataset)

    def __getattr__(self, name: str):
        if name == 'dataset' or name.startswith('__'):  # not there yet in a copy, or a protocol of Python's
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int, int]):
        seed_by('image', *key)
        return self.dataset[key[2]]

    def get_data_info(self, key: tuple[int, int, int]) -> dict:
        """For batch samplers that look at an image's size."""
        return self.dataset.get_data_info(key[2])


@DATA_SAMPLERS.register_module()
class SeededOrder(Sampler):
    """Yields (seed, epoch, index): all images in an order of each epoch, the same in every process.

    endless: one epoch after the other, for training by iterations.
    """

    def __init__(self, dataset, seed: int | None = None, shuffle: bool = True, endless: bool = False):
        self.dataset, self.seed, self.shuffle, self.endless = dataset, seed or 0, shuffle, endless
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        for epoch in count() if self.endless else [self.epoch]:
            size = len(self.dataset)
            for index in order(size, self.seed, epoch) if self.shuffle else range(size):
                yield self.seed, epoch, index


@DATA_SAMPLERS.register_module()
class DealtBatches(Sampler):
    """Batches of all images, made as one process would make them and dealt out to the processes in turn.

    So a micro-batch holds the same images on any number of devices. Where the batches of an epoch do not go round,
    its first ones are dealt again, or with `drop_last` the rest is left out.

    Args:
        sampler: a SeededOrder.
        batches: config of the batch sampler, such as mmdet's AspectRatioBatchSampler; None: batches in order.

    Attributes:
        skip: batches of this process to leave out at the start of the next pass: those an interrupted run has seen.
    """

    def __init__(self, sampler: SeededOrder, batch_size: int, batches: dict | None = None, drop_last: bool = False):
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last
        self.batches = dict(batches) if batches else dict(type=BatchSampler)
        self.rank, self.world_size = get_dist_info()
        self.skip = 0

    def __len__(self) -> int:
        whole, rest = divmod(len(self._made()), self.world_size)
        return whole + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[list]:
        # Begins with the first batch: a loader with workers makes two iterators and uses the second.
        start, self.skip = self.skip * self.world_size + self.rank, 0
        yield from islice(self._of_all_processes(), start, None, self.world_size)

    def _of_all_processes(self) -> Iterator[list]:
        if self.sampler.endless:
            yield from self._made()
            return
        first, whole = [], len(self) * self.world_size
        for batch in islice(self._made(), whole):
            first.append(batch)
            first = first[: self.world_size]
            yield batch
        yield from islice(cycle(first), max(0, whole - len(self._made())))

    def _made(self) -> BatchSampler:
        """A new one each time: some keep what they have begun."""
        own = dict(sampler=self.sampler, batch_size=self.batch_size, drop_last=self.drop_last)
        return DATA_SAMPLERS.build(dict(self.batches), default_args=own)
