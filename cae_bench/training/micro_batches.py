"""One iteration is one update: train loops that build a published batch out of several micro-batches.

Whatever counts iterations (schedules, warm-up, validation, checkpoints, the time left, resuming) then counts updates of
the published batch, on any number of devices. mmengine's `accumulative_counts` counts micro-batches instead.

Global micro-batch m of an update is the m-th batch of its images, whichever device works on it: process r of N takes
r, r + N, r + 2N, ... Mixup, cutmix, drop path and whatever else a step draws depend on (seed, update, m) alone, so
neither an interruption nor the number of devices moves them. The official runs seed every device by its rank.
"""

from collections.abc import Iterator
from itertools import chain, islice

from mmengine.dist import broadcast, get_dist_info
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop
from torch import Tensor
from torch.utils.data import DataLoader

from ..compat.private_names import start_update
from ..datasets.random_numbers import seed_by
from ..datasets.seeded import DealtBatches
from ..errors import ConfigError
from ..registry import LOOPS
from .progress import validations

SAMPLERS = {'DefaultSampler': False, 'InfiniteSampler': True}  # mmengine's -> whether it ends never


def seeded(dataloader: dict) -> dict:
    """The config of a training loader with order and augmentation by (seed, epoch, image), for any number of devices.

    Raises ConfigError for a sampler whose order is not known here.
    """
    loader = dict(dataloader)
    sampler = dict(loader['sampler'])
    if sampler['type'] not in SAMPLERS:
        raise ConfigError(
            f'train_dataloader.sampler.type={sampler["type"]}: a training that can be resumed takes its '
            f'images from {" or ".join(SAMPLERS)}'
        )
    sampler.update(endless=SAMPLERS[sampler['type']], type='cae_bench.SeededOrder')
    dealt = dict(
        type='cae_bench.DealtBatches', batches=loader.get('batch_sampler'), drop_last=loader.pop('drop_last', False)
    )
    if not loader.get('num_workers'):
        loader['persistent_workers'] = False
    dataset = dict(type='cae_bench.SeededDataset', dataset=loader['dataset'])
    return dict(loader, dataset=dataset, sampler=sampler, batch_sampler=dealt)


class Updates:
    """A loader whose items are iterators over the micro-batches of one update; in all else it is the loader it wraps.

    An update that the data cannot fill is left out where the loader drops incomplete batches, and taken otherwise.
    """

    def __init__(self, loader: DataLoader, micro_batches: int):
        assert isinstance(loader.batch_sampler, DealtBatches)  # as `seeded` has it
        self.loader, self.batches, self.micro_batches = loader, loader.batch_sampler, micro_batches

    def __getattr__(self, name: str):
        return getattr(self.loader, name)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.loader), self.micro_batches)
        return whole + bool(rest and not self.batches.drop_last)

    def start(self, epoch: int, done: int) -> Iterator[Iterator]:
        """The updates of an epoch, less those that an interrupted run has done of it."""
        self.batches.sampler.set_epoch(epoch)
        self.batches.skip = done * self.micro_batches
        batches = iter(self.loader)
        return (chain([first], islice(batches, self.micro_batches - 1)) for first in batches)


class _OneUpdate(BaseLoop):
    """Forward and backward of each micro-batch, one optimizer step: losses count equally, as those of devices do.

    random_numbers_per: 'micro_batch', each draws its own; or 'update': all micro-batches of an update draw the same, as
        where the published run gave every device the same seed.
    """

    dataloader: Updates
    val_begin: int
    val_interval: int
    _iter: int

    def __init__(
        self, runner, dataloader: dict, micro_batches: int = 1, random_numbers_per: str = 'micro_batch', **kwargs
    ):
        if random_numbers_per not in ('micro_batch', 'update'):
            raise ConfigError(f'random_numbers_per={random_numbers_per!r}: choose micro_batch or update')
        self.random_numbers_per = random_numbers_per
        loader = runner.build_dataloader(seeded(dataloader), seed=runner.seed)
        updates = Updates(loader, micro_batches)
        super().__init__(runner, updates, **kwargs)  # pyright: ignore[reportArgumentType]  in all else a DataLoader

    def update(self, idx: int, batches: Iterator, count: int) -> None:
        """One iteration of so many micro-batches."""
        wrapper = self.runner.optim_wrapper
        start_update(wrapper, count)
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=None)
        outputs = [self._step(number, batch) for number, batch in enumerate(batches)]
        self.runner.call_hook('after_train_iter', batch_idx=idx, data_batch=None, outputs=mean(outputs))
        self._iter += 1

    def _step(self, number: int, batch) -> dict[str, Tensor]:
        rank, world = get_dist_info()
        drawn = 0 if self.random_numbers_per == 'update' else number * world + rank
        seed_by('step', self.runner.seed, self._iter, drawn)
        return self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)

    def validate(self, position: int, end: int, resumed: bool = False) -> None:
        """Validates where it is due at this position, an epoch or an iteration.

        resumed: only what the interrupted run did not come to. The last one is done again: the record needs more of it
            than its scores.
        """
        due = position >= self.val_begin and (position % self.val_interval == 0 or position == end)
        if self.runner.val_loop is None or not position or not due:
            return
        done = [v['iteration'] for v in validations(self.runner)]
        if resumed and self._iter in done and position < end:
            return
        for buffer in self.runner.model.buffers():  # batch norms' own statistics on each device: the first's
            broadcast(buffer)  # count, which are those of the checkpoint
        self.runner.val_loop.run()


def mean(outputs: list[dict]) -> dict[str, Tensor]:
    """Of the losses that every micro-batch reports."""
    shared = set.intersection(*map(set, outputs))
    means = {}
    for name in outputs[0]:
        if name in shared:
            means[name] = sum(output[name] for output in outputs) / len(outputs)
    return means


@LOOPS.register_module()
class UpdatesByEpoch(_OneUpdate, EpochBasedTrainLoop):
    """mmengine's EpochBasedTrainLoop, an iteration being an update of `micro_batches` batches of the loader.

    It goes on in the middle of an epoch, and makes up for a validation that an interrupted run did not come to.
    """

    def run(self):
        self.runner.call_hook('before_train')
        self._epoch, done = divmod(self._iter, len(self.dataloader))
        if self._epoch and not done:
            self.runner.message_hub.update_info('epoch', self._epoch - 1)  # which it had just finished
            self.validate(self._epoch, self._max_epochs, resumed=True)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self.validate(self._epoch, self._max_epochs)
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        data, done = self.dataloader, self._iter - self._epoch * len(self.dataloader)
        for idx, batches in zip(range(done, len(data)), data.start(self._epoch, done)):
            self.update(idx, batches, min(data.micro_batches, len(data.loader) - idx * data.micro_batches))
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class UpdatesByIteration(_OneUpdate, IterBasedTrainLoop):
    """mmengine's IterBasedTrainLoop, an iteration being an update of `micro_batches` batches of an endless loader."""

    def __init__(self, runner, dataloader: dict, *args, **kwargs):
        super().__init__(runner, dataloader, *args, **kwargs)
        if not self.dataloader.batches.sampler.endless:
            raise ConfigError(
                "training by iterations needs train_dataloader.sampler.type='InfiniteSampler', which "
                'goes over the data as often as it takes'
            )

    def run(self):
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.validate(self._iter, self._max_iters, resumed=True)
        data = self.dataloader.start(0, self._iter) if self._iter < self._max_iters else iter(())
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.update(self._iter, next(data), self.dataloader.micro_batches)
            self._decide_current_val_interval()
            self.validate(self._iter, self._max_iters)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model
