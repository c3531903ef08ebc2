"""The train loop of pretraining: resumes inside an epoch, and names what is wrong with the data or the numbers."""

import torch
from mmengine.dist import get_rank
from mmengine.runner import EpochBasedTrainLoop

from ..errors import DataError
from ..logs import say
from ..registry import LOOPS
from ..training.unwrap import unwrapped
from .images import PretrainImages, UpdateSampler
from .optimizer import Diverged


@LOOPS.register_module()
class PretrainLoop(EpochBasedTrainLoop):
    """Epochs of whole updates. What a step draws (drop path) depends on seed, process and step alone.

    max_corrupt: distinct images that may be unreadable before the run stops; each is named once.
    """

    def __init__(self, runner, dataloader, max_epochs: int, max_corrupt: int = 0):
        super().__init__(runner, dataloader, max_epochs)
        self.max_corrupt, self.corrupt = max_corrupt, set()

    @property
    def model(self) -> torch.nn.Module:
        return unwrapped(self.runner.model)

    @property
    def images(self) -> PretrainImages:
        images = self.dataloader.dataset
        assert isinstance(images, PretrainImages)  # as runner_config has it; the sampler likewise
        return images

    def goto(self, iteration: int) -> None:
        """Continues after this many iterations: in the middle of an epoch, the images already seen are passed over."""
        self._iter, self._epoch = iteration, iteration // len(self.dataloader)
        self.runner.optim_wrapper.initialize_count_status(self.model, iteration, self.max_iters)

    def run(self):
        self.runner.optim_wrapper.name_parameters(self.model)
        return super().run()

    def run_epoch(self) -> None:
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        sampler, batch_size = self.dataloader.sampler, self.dataloader.batch_size
        assert isinstance(sampler, UpdateSampler) and batch_size is not None
        sampler.skip = done * batch_size
        for idx, batch in enumerate(self.dataloader, start=done):
            self.run_iter(idx, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: dict) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  one dictionary
        torch.manual_seed(step_seed(self.runner.seed, get_rank(), self._iter))
        self._count_corrupt(data_batch)
        try:
            super().run_iter(idx, data_batch)  # pyright: ignore[reportArgumentType]  goes to the model as it is
        except Diverged as error:
            images = [self.images.path(int(i)) for i in data_batch['index']]
            raise Diverged(
                f'epoch {self._epoch + 1}, iteration {self._iter + 1}: {error}. The last batch was '
                f'{", ".join(images[:3])} and {max(0, len(images) - 3)} more. Lower the learning rate, or use '
                '--amp fp32; the last checkpoint is kept.'
            ) from None

    def _count_corrupt(self, batch: dict) -> None:
        for index in (int(i) for i in batch['corrupt'] if i >= 0):
            if index in self.corrupt:
                continue
            self.corrupt.add(index)
            path = self.images.path(index)
            if len(self.corrupt) > self.max_corrupt:
                raise DataError(
                    f'{path} is no readable image, the {_th(len(self.corrupt))} of this run: replace or delete it, '
                    f'or allow more with --max-corrupt (now {self.max_corrupt}).'
                )
            say(
                f'{path} is no readable image; another one was taken '
                f'({len(self.corrupt)} of at most {self.max_corrupt})'
            )


def step_seed(seed: int, rank: int, iteration: int) -> int:
    """Distinct for every process and step of a run; a resumed run draws what an uninterrupted one would have drawn."""
    return (seed * 1_000_003 + rank) * 100_000_007 + iteration


def _th(number: int) -> str:
    return f'{number}{ {1: "st", 2: "nd", 3: "rd"}.get(number if number < 20 else number % 10, "th") }'
