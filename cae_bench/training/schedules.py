"""Learning rates of the published recipes, iteration by iteration: pure functions, and schedulers that apply them.

OpenMMLab's own schedulers differ in small ways: `LinearLR` cannot start at 0, `CosineAnnealingLR` has one absolute
minimum for every parameter group, and a warm-up there replaces the main schedule instead of multiplying it.
"""

import math
from collections.abc import Sequence

from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.param_scheduler import INF

from ..compat.private_names import ParamScheduler, accumulation
from ..errors import ConfigError
from ..registry import PARAM_SCHEDULERS


def cosine_table_value(
    step: int, total: int, warmup: int, base: float, final: float = 0.0, start: float = 0.0
) -> float:
    """Entry `step` of BEiT's and CAE's table (`cosine_scheduler`, furnace/utils.py) of `total` optimizer updates.

    The warm-up ramp of `warmup` entries holds both its ends, so `base` comes twice in a row; `final` is never reached.
    """
    if step < warmup:
        return start + (base - start) * step / (warmup - 1) if warmup > 1 else start
    return final + 0.5 * (base - final) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def fractional_epoch_lr(epoch: float, base: float, epochs: float, warmup_epochs: float, min_lr: float = 0.0) -> float:
    """MAE's rule (linear_util/lr_sched.py), for linear probing: `epoch` counts iterations as fractions of an epoch."""
    if epoch < warmup_epochs:
        return base * epoch / warmup_epochs
    return min_lr + 0.5 * (base - min_lr) * (1 + math.cos(math.pi * (epoch - warmup_epochs) / (epochs - warmup_epochs)))


def linear_warmup(value: float, iteration: int, warmup: int, ratio: float) -> float:
    """mmcv 1.x: the warm-up multiplies the running value of the main schedule, from `ratio` up to 1."""
    return value * (1 - (1 - iteration / warmup) * (1 - ratio)) if iteration < warmup else value


def poly_with_warmup(
    iteration: int,
    base: float,
    total: int,
    warmup: int = 1500,
    warmup_ratio: float = 1e-6,
    power: float = 1.0,
    min_lr: float = 0.0,
) -> float:
    """mmcv 1.x `PolyLrUpdaterHook` with linear warm-up, ADE20K: peaks at 0.9906 of `base` when the warm-up ends."""
    value = (base - min_lr) * (1 - iteration / total) ** power + min_lr
    return linear_warmup(value, iteration, warmup, warmup_ratio)


def step_with_warmup(
    iteration: int,
    base: float,
    milestones: Sequence[int],
    gamma: float = 0.1,
    warmup: int = 500,
    warmup_ratio: float = 0.001,
) -> float:
    """mmcv 1.x `StepLrUpdaterHook` with linear warm-up, COCO; `milestones` in iterations."""
    value = base * gamma ** sum(iteration >= m for m in milestones)
    return linear_warmup(value, iteration, warmup, warmup_ratio)


class _PublishedLR(ParamScheduler):
    """Sets the learning rate of every group to a function of the number of optimizer updates made so far.

    A group's own scale (`lr_scale`, put there by the layer-decay constructor) multiplies the whole schedule, its
    minimum too.
    All lengths count iterations of the train loop; under gradient accumulation the schedule moves once per update.
    In a config the length is that of the train loop, and `convert_to_iter_based=True` lets it be given in epochs.
    """

    def __init__(
        self,
        optimizer,
        end: int = INF,
        by_epoch: bool = False,
        begin: int = 0,
        last_step: int = -1,
        verbose: bool = False,
    ):
        if by_epoch:
            raise ConfigError(
                f'{type(self).__name__} moves every iteration: '
                'add convert_to_iter_based=True for lengths in epochs, or by_epoch=False for iterations'
            )
        self.accumulation = accumulation(optimizer) if isinstance(optimizer, OptimWrapper) else 1
        self.check_lengths(end)
        super().__init__(optimizer, 'lr', begin, end, last_step, False, verbose)

    @classmethod
    def build_iter_from_epoch(cls, optimizer, epoch_length: int, end: int = INF, by_epoch: bool = True, **kwargs):
        """Builds from lengths in epochs: `end`, and whatever a schedule's `in_iterations` turns."""
        end = end if end == INF else end * epoch_length
        return cls(optimizer, end=end, by_epoch=False, **cls.in_iterations(epoch_length, **kwargs))

    @staticmethod
    def in_iterations(epoch_length: int, *, warmup_epochs: float | None = None, **kwargs) -> dict:
        if warmup_epochs is not None:
            kwargs['warmup_iters'] = int(warmup_epochs * epoch_length)
        return kwargs

    def updates(self, iterations: float) -> int:
        return int(iterations) // self.accumulation

    def check_lengths(self, end: int) -> None:
        """Raises ConfigError where the warm-up does not fit into the schedule."""
        warmup = getattr(self, 'warmup_iters', 0)
        if warmup > end:
            raise ConfigError(
                f'{type(self).__name__}: a warm-up of {warmup} iterations does not fit into a schedule '
                f'of {end}; shorten both together'
            )

    def value(self, update: int, total: int, base: float, scale: float) -> float:
        """Learning rate of a group: `base` is already the group's own, `scale` the factor it holds."""
        raise NotImplementedError

    def _get_value(self) -> list[float]:
        update, total = self.updates(self.last_step), self.updates(self.end)
        scales = [group.get('lr_scale', 1.0) for group in self.optimizer.param_groups]
        return [self.value(min(update, total - 1), total, base, scale) for base, scale in zip(self.base_values, scales)]


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_PublishedLR):
    """`cosine_table_value` per iteration; warm-up from exactly 0. Pretraining, fine-tuning and attentive probing.

    Args:
        warmup_iters: length of the warm-up; `warmup_epochs` (fractions allowed) with `convert_to_iter_based=True`.
        min_lr: end of the cosine, before a group's own scale.
    """

    def __init__(self, optimizer, warmup_iters: int = 0, min_lr: float = 0.0, **kwargs):
        self.warmup_iters, self.min_lr = warmup_iters, min_lr
        super().__init__(optimizer, **kwargs)

    def value(self, update: int, total: int, base: float, scale: float) -> float:
        return cosine_table_value(update, total, self.updates(self.warmup_iters), base, self.min_lr * scale)


@PARAM_SCHEDULERS.register_module()
class FractionalCosineLR(WarmupCosineLR):
    """`fractional_epoch_lr` per iteration. Linear probing."""

    def value(self, update: int, total: int, base: float, scale: float) -> float:
        return fractional_epoch_lr(update, base, total, self.updates(self.warmup_iters), self.min_lr * scale)


@PARAM_SCHEDULERS.register_module()
class WarmupPolyLR(_PublishedLR):
    """`poly_with_warmup` per iteration. ADE20K."""

    def __init__(
        self,
        optimizer,
        warmup_iters: int = 1500,
        warmup_ratio: float = 1e-6,
        power: float = 1.0,
        min_lr: float = 0.0,
        **kwargs,
    ):
        self.warmup_iters, self.warmup_ratio, self.power, self.min_lr = warmup_iters, warmup_ratio, power, min_lr
        super().__init__(optimizer, **kwargs)

    def value(self, update: int, total: int, base: float, scale: float) -> float:
        warmup = self.updates(self.warmup_iters)
        return poly_with_warmup(update, base, total, warmup, self.warmup_ratio, self.power, self.min_lr * scale)


@PARAM_SCHEDULERS.register_module()
class WarmupStepLR(_PublishedLR):
    """`step_with_warmup` per iteration. COCO. `milestones`: in epochs with `convert_to_iter_based=True`."""

    def __init__(
        self,
        optimizer,
        milestones: Sequence[int],
        gamma: float = 0.1,
        warmup_iters: int = 500,
        warmup_ratio: float = 0.001,
        **kwargs,
    ):
        self.milestones, self.gamma = list(milestones), gamma
        self.warmup_iters, self.warmup_ratio = warmup_iters, warmup_ratio
        super().__init__(optimizer, **kwargs)

    @staticmethod
    def in_iterations(
        epoch_length: int, *, warmup_epochs: float | None = None, milestones: Sequence[float] = (), **kwargs
    ) -> dict:
        kwargs = _PublishedLR.in_iterations(epoch_length, warmup_epochs=warmup_epochs, **kwargs)
        return dict(kwargs, milestones=[int(m * epoch_length) for m in milestones])

    def value(self, update: int, total: int, base: float, scale: float) -> float:
        milestones = [self.updates(m) for m in self.milestones]
        warmup = self.updates(self.warmup_iters)
        return step_with_warmup(update, base, milestones, self.gamma, warmup, self.warmup_ratio)
