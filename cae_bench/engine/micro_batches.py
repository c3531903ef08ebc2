"""One iteration is one update: train loops that build a published batch out of several micro-batches.

Whatever counts iterations (schedules, warm-up, validation, checkpoints, the time left, resuming) then counts updates of
the published batch, on any number of devices. mmengine's `accumulative_counts` counts micro-batches instead.
"""
from collections.abc import Iterator
from itertools import chain, islice

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import Tensor
from torch.utils.data import DataLoader

from ..errors import ConfigError
from ..registry import LOOPS


class Updates:
    """A loader whose items are iterators over the micro-batches of one update; in all else it is the loader it wraps.

    An update that the data cannot fill is left out where the loader drops incomplete batches, and taken otherwise.
    """

    def __init__(self, loader: DataLoader, micro_batches: int):
        self.loader, self.micro_batches = loader, micro_batches

    def __getattr__(self, name: str):
        return getattr(self.loader, name)

    @property
    def batch_size(self) -> int:
        """Images of an update on this device: by it mmengine passes over what a resumed run has seen."""
        return self.loader.batch_size * self.micro_batches

    def __len__(self) -> int:
        whole, rest = divmod(len(self.loader), self.micro_batches)
        return whole + bool(rest and not self.loader.drop_last)

    def __iter__(self) -> Iterator[Iterator]:
        batches = iter(self.loader)
        return (chain([first], islice(batches, self.micro_batches - 1)) for first in batches)


class _OneUpdate:
    """Forward and backward of each micro-batch, one optimizer step: losses count equally, as those of devices do."""

    def __init__(self, runner, dataloader: dict, micro_batches: int, **kwargs):
        diff_rank_seed = runner._randomness_cfg.get('diff_rank_seed', False)
        loader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=diff_rank_seed)
        super().__init__(runner, Updates(loader, micro_batches), **kwargs)

    def update(self, idx: int, batches: Iterator, count: int) -> None:
        """One iteration of so many micro-batches."""
        wrapper = self.runner.optim_wrapper
        # Divides each loss by the count, synchronises gradients with the last, and clips and steps once.
        wrapper._accumulative_counts, wrapper._inner_count, wrapper._max_counts = count, 0, -1
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=None)
        outputs = [self.runner.model.train_step(batch, optim_wrapper=wrapper) for batch in batches]
        if len(outputs) != count:
            raise ConfigError(f'the training data ended after {len(outputs)} of the {count} micro-batches of an '
                              "update: training by iterations needs train_dataloader.sampler.type='InfiniteSampler'")
        self.runner.call_hook('after_train_iter', batch_idx=idx, data_batch=None, outputs=mean(outputs))
        self._iter += 1


def mean(outputs: list[dict]) -> dict[str, Tensor]:
    """Of the losses that every micro-batch reports."""
    shared = set.intersection(*map(set, outputs))
    return {name: sum(output[name] for output in outputs) / len(outputs) for name in outputs[0] if name in shared}


@LOOPS.register_module()
class UpdatesByEpoch(_OneUpdate, EpochBasedTrainLoop):
    """mmengine's EpochBasedTrainLoop, an iteration being an update of `micro_batches` batches of the loader."""

    def run_epoch(self) -> None:
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        data = self.dataloader
        for idx, batches in zip(range(len(data)), data):
            self.update(idx, batches, min(data.micro_batches, len(data.loader) - idx * data.micro_batches))
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class UpdatesByIteration(_OneUpdate, IterBasedTrainLoop):
    """mmengine's IterBasedTrainLoop, an iteration being an update of `micro_batches` batches of an endless loader."""

    def run_iter(self, batches: Iterator) -> None:
        self.update(self._iter, batches, self.dataloader.micro_batches)
