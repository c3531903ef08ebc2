"""How heads on frozen features learn: published batch and BatchNorm group on any hardware, an optimizer for each probe.

A loader batch is only as large as the machine likes. Features are buffered until a whole BatchNorm group is there,
gradients of groups accumulate to the effective batch, then the probe takes its step.

Several processes divide the groups of a step, and sum gradients. Where a step has fewer groups than that, they divide
the images of every group instead: each computes features of its part, and all train the same heads on all of them.
"""

import math

import torch
import torch.distributed as dist
from mmengine.dist import all_gather, get_world_size
from mmengine.optim import OptimWrapper
from torch import Tensor

from ..errors import ConfigError
from ..registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS
from ..training import schedules


def fractional_epoch(
    step: int, steps_per_epoch: int, epochs: int, base: float, warmup_epochs: float, min_lr: float = 0.0
) -> float:
    """MAE's rule for linear probing."""
    return schedules.fractional_epoch_lr(step / steps_per_epoch, base, epochs, warmup_epochs, min_lr)


def cosine_table(
    step: int, steps_per_epoch: int, epochs: int, base: float, warmup_epochs: float, min_lr: float = 0.0
) -> float:
    """BEiT's and CAE's table, for attentive probing."""
    total, warmup = epochs * steps_per_epoch, int(warmup_epochs * steps_per_epoch)
    return schedules.cosine_table_value(step, total, warmup, base, min_lr)


def cosine_per_epoch(
    step: int, steps_per_epoch: int, epochs: int, base: float, warmup_epochs: float, min_lr: float = 0.0
) -> float:
    """Half a cosine that moves once an epoch, as DINO's and BEiT's layer-wise linear evaluation has it."""
    return schedules.fractional_epoch_lr(step // steps_per_epoch, base, epochs, warmup_epochs, min_lr)


SCHEDULES = {f.__name__: f for f in (fractional_epoch, cosine_table, cosine_per_epoch)}


def images_dealt(batches: dict[str, tuple[int, int]], processes: int) -> tuple[int, bool]:
    """(images that go to a process together, whether processes share every group) in a pass.

    batches: name of each trained probe -> (batch_size, bn_group).

    Raises:
        ConfigError: neither the groups nor the images of a group divide among the processes.
    """
    groups = [group for _, group in batches.values()]
    whole = math.lcm(*groups)
    if all(batch % (whole * processes) == 0 for batch, _ in batches.values()) or processes == 1:
        return whole, False
    smallest = math.gcd(*groups)
    if smallest % processes:
        fitting = ', '.join(str(n) for n in range(2, smallest + 1) if smallest % n == 0)
        raise ConfigError(
            f'{", ".join(batches)}: BatchNorm groups of {smallest} images cannot be shared by {processes} '
            f'processes: start 1, {fitting}'
        )
    return smallest // processes, True


class HeadTrainer:
    """Buffer, accumulation, schedule and optimizer of one probe.

    Args:
        name: protocol, for messages.
        probe: TrainedProbe.
        batch_size: effective batch: images of all processes together in one step.
        bn_group: images normalised together; `batch_size` is a multiple of it.
        optimizer: config without lr and weight decay, which come from the cells.
        schedule: dict(type=one of SCHEDULES, warmup_epochs, min_lr).
        without_held_out: leave held-out images out of every group.
    """

    def __init__(
        self,
        name: str,
        probe,
        batch_size: int,
        bn_group: int,
        optimizer: dict,
        schedule: dict,
        without_held_out: bool = False,
    ):
        if batch_size % bn_group:
            raise ConfigError(f'{name}: batch_size={batch_size} is no multiple of bn_group={bn_group}.')
        self.name, self.probe, self.without_held_out = name, probe, without_held_out
        self.batch_size, self.bn_group, self.groups_per_step = batch_size, bn_group, batch_size // bn_group
        cells, device = probe.cells, next(probe.parameters()).device
        self.base = [float(c['lr']) for c in cells]
        decay = torch.tensor([float(c.get('weight_decay', 0.0)) for c in cells], device=device)
        lr = torch.zeros(len(cells), device=device)
        self.optimizer = OPTIMIZERS.build(dict(optimizer, params=list(probe.parameters()), lr=lr, weight_decay=decay))
        self.rule = dict(schedule)
        self.schedule = SCHEDULES[self.rule.pop('type')]
        self.world_size, self.shared = get_world_size(), False
        self.buffer: list[tuple[Tensor, Tensor, Tensor]] = []
        self.step = self.groups = 0  # steps taken in all; groups of this process in the open step

    def begin(self, num_images: int, epochs: int, shared: bool = False) -> None:
        """Fixes the length of the schedule, and whether processes share every group.

        Raises ConfigError where batch and data do not fit together.
        """
        self.shared = shared
        self.epochs, self.steps_per_epoch = epochs, num_images // self.batch_size
        if not self.steps_per_epoch:
            raise ConfigError(
                f'{self.name}: its batch of {self.batch_size} is larger than the {num_images} training '
                f'images: --recipe mini, or lower model.probes.{self.name}.batch_size and .bn_group.'
            )
        if self.rule.get('warmup_epochs', 0) >= epochs:
            raise ConfigError(
                f'{self.name}: a warm-up of {self.rule["warmup_epochs"]} epochs leaves nothing of '
                f'{epochs}; shorten both together.'
            )

    def lr(self, step: int) -> list[float]:
        """Learning rate of every cell at an optimizer step."""
        return [self.schedule(step, self.steps_per_epoch, self.epochs, base, **self.rule) for base in self.base]

    def start_epoch(self, epoch: int) -> None:
        """The published loaders drop an epoch's last, incomplete batch: so does this."""
        self.buffer, self.groups, self.step = [], 0, epoch * self.steps_per_epoch
        self.last = (epoch + 1) * self.steps_per_epoch
        self.optimizer.zero_grad()

    def feed(self, features: Tensor, labels: Tensor, held_out: Tensor) -> Tensor | None:
        """Takes a loader batch; the losses (G,) of the last group it completed, if any."""
        losses = None
        self.buffer.append((features, labels, held_out.to(labels.device)))
        while self.step < self.last and sum(len(y) for _, y, _ in self.buffer) >= self.own_images:
            losses = self._group(*self._take())
        if self.step >= self.last:
            self.buffer = []
        return losses

    @property
    def own_images(self) -> int:
        """Images of a group whose features this process computes."""
        return self.bn_group // self.world_size if self.shared else self.bn_group

    @property
    def own_groups(self) -> int:
        """Groups of a step that this process trains on."""
        return self.groups_per_step if self.shared else self.groups_per_step // self.world_size

    def _take(self) -> list[Tensor]:
        """The oldest group of the buffer, joined with the other processes' parts of it where they share it."""
        size = self.own_images
        joined = [torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*self.buffer)]
        self.buffer = [tuple(t[size:] for t in joined)] if len(joined[1]) > size else []
        group = [t[:size] for t in joined]
        return [_of_all(t) for t in group] if self.shared else group

    def _group(self, features: Tensor, labels: Tensor, held_out: Tensor) -> Tensor | None:
        losses = None
        out = (labels < 0) | held_out if self.without_held_out else labels < 0  # no label: cannot be decoded
        if out.any():
            features, labels = features[~out], labels[~out]
        if len(labels) >= min(2, self.bn_group):  # one image has no statistics
            # Only the first group of a step moves the running statistics: in the published runs those of the first
            # device are what is broadcast, evaluated and saved.
            first = self.groups == 0 and (self.shared or self.world_size == 1 or dist.get_rank() == 0)
            losses = self.probe.loss(features, labels, track=first)
            (losses.sum() / self.groups_per_step).backward()
        self.groups += 1
        if self.groups == self.own_groups:
            self._step()
        return None if losses is None else losses.detach()

    def _step(self) -> None:
        if self.world_size > 1 and not self.shared:
            self._synchronise()
        group = self.optimizer.param_groups[0]
        group['lr'] = torch.tensor(self.lr(self.step), device=group['lr'].device)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step, self.groups = self.step + 1, 0

    def _synchronise(self) -> None:
        """Sums gradients over processes; hands the first one's running statistics to all."""
        params = [p for p in self.probe.parameters() if p.grad is not None]
        flat = torch.cat([p.grad.flatten() for p in params])
        dist.all_reduce(flat)
        for p, part in zip(params, flat.split([p.numel() for p in params])):
            p.grad.copy_(part.view_as(p))
        for name, buffer in self.probe.named_buffers():
            if name.startswith('norm.'):
                dist.broadcast(buffer, 0)

    def plan(self) -> str:
        """How the published batch is made here."""
        return (
            f'{self.name}: published {self.groups_per_step} x {self.bn_group}; here {self.world_size} '
            f'process{_s(self.world_size, "es")} x {self.own_images}, {self.own_groups} group{_s(self.own_groups)} a step, '
            f'{self.steps_per_epoch} steps an epoch, {len(self.base)} head{_s(len(self.base))}'
        )

    def state_dict(self) -> dict:
        """All that an interrupted pass needs to go on: also half-filled groups and half-accumulated gradients."""
        grads = [None if p.grad is None else p.grad.clone() for p in self.probe.parameters()]
        return dict(
            optimizer=self.optimizer.state_dict(), buffer=self.buffer, step=self.step, groups=self.groups, grads=grads
        )

    def load_state_dict(self, state: dict) -> None:
        device = next(self.probe.parameters()).device
        self.optimizer.load_state_dict(state['optimizer'])
        self.buffer = [tuple(t.to(device) for t in entry) for entry in state['buffer']]
        self.step, self.groups = state['step'], state['groups']
        for p, grad in zip(self.probe.parameters(), state['grads']):
            p.grad = None if grad is None else grad.to(device)


def _of_all(part: Tensor) -> Tensor:
    """The parts of all processes one after the other; bool goes as bytes, which every backend knows."""
    kind = part.dtype
    part = part.byte() if kind is torch.bool else part
    return torch.cat(all_gather(part.contiguous())).to(kind)


def _s(count: int, ending: str = 's') -> str:
    return ending if count > 1 else ''


class HeadOptimizers(OptimWrapper):
    """All trainers of a FrozenProbes model in the place where mmengine keeps, saves and resumes optimizers."""

    def __init__(self, trainers: dict[str, HeadTrainer], siblings: dict[str, HeadTrainer]):
        self.trainers, self.siblings = trainers, siblings

    def all(self) -> list[HeadTrainer]:
        return [*self.trainers.values(), *self.siblings.values()]

    def feed(self, name: str, features: Tensor, labels: Tensor, held_out: Tensor) -> dict[str, Tensor]:
        """Gives a batch to a probe and, where it has one, to its sibling; the mean loss over cells for the log."""
        losses = self.trainers[name].feed(features, labels, held_out)
        if name in self.siblings:
            self.siblings[name].feed(features, labels, held_out)
        return {} if losses is None else {f'{name}/loss': losses.mean()}

    def initialize_count_status(self, model, init_counts: int, max_counts: int) -> None:
        """Nothing to count here: every trainer counts its own steps."""

    def update_params(self, *args, **kwargs) -> None:
        raise NotImplementedError('frozen probes take their steps in feed()')

    def get_lr(self) -> dict[str, list[float]]:
        return {f'{name}.lr': t.optimizer.param_groups[0]['lr'].tolist() for name, t in self.trainers.items()}

    def state_dict(self) -> dict:
        return {
            part: {name: t.state_dict() for name, t in getattr(self, part).items()} for part in ('trainers', 'siblings')
        }

    def load_state_dict(self, state: dict) -> None:
        for part in ('trainers', 'siblings'):
            for name, trainer in getattr(self, part).items():
                trainer.load_state_dict(state[part][name])


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ProbeOptimizers:
    """Builds the trainers from `model.probes`. A `dtype` in the optimizer config (--amp) is the frozen forward's."""

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        self.cfg = optim_wrapper_cfg

    def __call__(self, model) -> HeadOptimizers:
        model = getattr(model, 'module', model)
        model.precision = self.cfg.get('dtype', model.precision)
        keys = ('batch_size', 'bn_group', 'optimizer', 'schedule')

        def trainer(name, probe, **kwargs):
            return HeadTrainer(name, probe, **{k: model.plans[name][k] for k in keys}, **kwargs)

        return HeadOptimizers(
            {name: trainer(name, probe) for name, probe in model.trained.items()},
            {name: trainer(name, probe, without_held_out=True) for name, probe in model.siblings.items()},
        )
