"""How heads on frozen features learn: published batch and BatchNorm group on any hardware, an optimizer for each probe.

A loader batch is only as large as the machine likes. Features are buffered until a whole BatchNorm group is there,
gradients of groups accumulate to the effective batch, then the probe takes its step.

Several processes divide the groups of a step, and sum gradients. Where a step has fewer groups than that, they divide
the images of every group instead: each computes features of its part, and all train the same heads on all of them.
"""

import math
from collections.abc import Sequence

import torch
import torch.distributed as dist
from mmengine.dist import all_gather, get_world_size
from torch import Tensor

from ..errors import ConfigError
from ..registry import OPTIMIZERS
from ..training import schedules
from .probes.linear import TrainedProbe


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
        probe: TrainedProbe,
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
        features, labels, held_out = (_joined(parts) for parts in zip(*self.buffer, strict=True))
        rest = features[size:], labels[size:], held_out[size:]
        self.buffer = [rest] if len(labels) > size else []
        group = [features[:size], labels[:size], held_out[:size]]
        return [_of_all(part) for part in group] if self.shared else group

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
        grads = [p.grad for p in self.probe.parameters() if p.grad is not None]
        flat = torch.cat([grad.flatten() for grad in grads])
        dist.all_reduce(flat)
        for grad, part in zip(grads, flat.split([grad.numel() for grad in grads])):
            grad.copy_(part.view_as(grad))
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


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)) if len(parts) > 1 else parts[0]


def _of_all(part: Tensor) -> Tensor:
    """The parts of all processes one after the other; bool goes as bytes, which every backend knows."""
    kind = part.dtype
    part = part.byte() if kind is torch.bool else part
    return torch.cat(all_gather(part.contiguous())).to(kind)


def _s(count: int, ending: str = 's') -> str:
    return ending if count > 1 else ''
