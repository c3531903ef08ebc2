"""How the heads of every probe scored, validation by validation, and which score is reported.

The loop owns the history of its pass, hands it to the metric and the hook, and keeps it in every checkpoint.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from .batch_statistics import BatchAccount

KEY = 'probe_history'  # in a checkpoint
# Earlier versions kept both on mmengine's message hub.
OLD_HISTORY, OLD_SKIPPED = 'frozen_history', 'frozen_skipped'


class Select(StrEnum):
    """How the reported cell and epoch are selected: a probe's `select`."""

    BEST = 'best'  # the best cell and epoch on validation images, as published: the official code prints the maximum
    LAST = 'last'  # the best cell of the last epoch
    FIRST = 'first'  # the first cell at the last epoch: nothing is chosen on validation images


# What the record says of it.
RECORDED = {Select.BEST: 'paper', Select.LAST: 'last epoch', Select.FIRST: 'fixed'}


@dataclass(frozen=True)
class SharedSettings:
    """What a probe has in common with others of its pass, or could have; for the record."""

    feature: str
    view: str  # that it was trained on
    pass_with: list[str]  # the other probes of the pass
    precision: str  # of the frozen forward
    source: str | None = None  # paper or code that the protocol follows
    batch_size: int | None = None  # trained probes: images in a step
    bn_group: int | None = None  # and those normalised together


@dataclass(frozen=True)
class EpochScores:
    """One validation of all cells, in percent, one entry for each."""

    epoch: int  # epochs trained before it
    top1: list[float]
    top5: list[float]


@dataclass(frozen=True)
class CellScores:
    """One cell in one validation, with its predictions."""

    epoch: int
    cell: int  # position among the cells
    top1: float
    top5: float
    prediction: np.ndarray  # (images,) classes
    top1_running_stats: float | None = None  # where `top1` is by batch statistics
    batch_statistics: BatchAccount | None = None  # there too


@dataclass(frozen=True)
class HeldOutScores:
    """The heads that were trained without the held-out images, on those images."""

    images: int
    top1: list[float]  # in percent, of each cell


@dataclass(frozen=True)
class CellValidation:
    """What a validation found, of G cells on N images."""

    predicted: np.ndarray  # (N, G) classes
    correct: np.ndarray  # (N, G) bool
    hits: np.ndarray  # (N, G) bool: the label is among the best five
    running_stats: list[float] | None = (
        None  # top-1 of each cell by running statistics, where it is by batch statistics
    )
    accounts: list[BatchAccount] | None = None  # there too, of each cell


@dataclass
class ProbeHistory:
    """Validations of one probe, and the cells and epochs that may be reported.

    Only the process that computes metrics records scores; `validated` and `diverged` are known to all.
    """

    cells: list[dict[str, Any]]  # hyper-parameters
    select: Select
    settings: SharedSettings
    epochs: list[EpochScores] = field(default_factory=list)
    selected: CellScores | None = None  # by the rule of `select`
    last: CellScores | None = None  # the best living cell of the last validation; the first one by Select.FIRST
    diverged: list[bool] = field(default_factory=list)  # one for each cell
    held_out: HeldOutScores | None = None
    validated: int = 0  # epochs trained before the last validation that came to its end; 0 for none

    def __post_init__(self) -> None:
        self.diverged = self.diverged or [False] * len(self.cells)

    def record(self, epoch: int, found: CellValidation) -> None:
        """Adds a validation of all cells and keeps the predictions of those that may be reported."""
        scores = EpochScores(epoch, (100 * found.correct.mean(0)).tolist(), (100 * found.hits.mean(0)).tolist())
        self.epochs.append(scores)
        cell = 0 if self.select is Select.FIRST else self.best(scores.top1)
        self.last = CellScores(
            epoch,
            cell,
            scores.top1[cell],
            scores.top5[cell],
            prediction=found.predicted[:, cell].copy(),
            top1_running_stats=None if found.running_stats is None else found.running_stats[cell],
            batch_statistics=None if found.accounts is None else found.accounts[cell],
        )
        if self.selected is None or self.select is not Select.BEST or self.last.top1 > self.selected.top1:
            self.selected = self.last

    def best(self, top1: Sequence[float]) -> int:
        """The cell of the highest score; one that diverged is never the best."""
        return int(np.argmax([-1.0 if gone else score for score, gone in zip(top1, self.diverged)]))

    def selected_by(self) -> str:
        """The record's word; 'fixed' also where there was one setting and one moment to take."""
        if self.select is Select.LAST and len(self.cells) == 1:
            return RECORDED[Select.FIRST]
        return RECORDED[self.select]

    def curve(self) -> list[dict[str, Any]]:
        """For each cell: its hyper-parameters, best and last top-1, the epoch of the best, and whether it diverged."""
        rows = []
        for i, cell in enumerate(self.cells):
            top1 = [scores.top1[i] for scores in self.epochs]
            best = int(np.argmax(top1))
            row = dict(top1_best=top1[best], epoch_best=self.epochs[best].epoch, top1_last=top1[-1])
            rows.append({**cell, **row, 'diverged': self.diverged[i]})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain values and arrays, as a checkpoint takes them."""
        return asdict(self) | dict(select=self.select.value)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> 'ProbeHistory':
        held_out = state['held_out']
        return cls(
            cells=state['cells'],
            select=Select(state['select']),
            settings=SharedSettings(**state['settings']),
            epochs=[EpochScores(**scores) for scores in state['epochs']],
            selected=_cell_scores(state['selected']),
            last=_cell_scores(state['last']),
            diverged=state['diverged'],
            held_out=held_out and HeldOutScores(**held_out),
            validated=state['validated'],
        )


@dataclass
class PassHistory:
    """All probes of a pass."""

    probes: dict[str, ProbeHistory] = field(default_factory=dict)  # by protocol
    skipped: list[str] = field(default_factory=list)  # 'split/class/file' of images that cannot be decoded, sorted
    epoch: int = 0  # epochs trained before the validation that is under way or was the last

    def skip(self, images: Iterable[str]) -> None:
        """Adds names of images that cannot be decoded."""
        self.skipped = sorted({*self.skipped, *images})

    def to_dict(self) -> dict[str, Any]:
        probes = {name: history.to_dict() for name, history in self.probes.items()}
        return dict(probes=probes, skipped=list(self.skipped), epoch=self.epoch)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> 'PassHistory':
        probes = {name: ProbeHistory.from_dict(history) for name, history in state['probes'].items()}
        return cls(probes, list(state['skipped']), state['epoch'])

    @classmethod
    def from_checkpoint(cls, checkpoint: Mapping[str, Any]) -> 'PassHistory | None':
        """The history in a checkpoint of this version or an earlier one; None where it holds none."""
        if KEY in checkpoint:
            return cls.from_dict(checkpoint[KEY])
        hub = checkpoint.get('message_hub', {}).get('runtime_info', {})
        if OLD_HISTORY not in hub:
            return None
        probes = {name: ProbeHistory.from_dict(_renamed(state)) for name, state in hub[OLD_HISTORY].items()}
        return cls(probes, list(hub.get(OLD_SKIPPED, ())))


def _cell_scores(state: Mapping[str, Any] | None) -> CellScores | None:
    if state is None:
        return None
    account = state.get('batch_statistics')
    return CellScores(**{**state, 'batch_statistics': account and BatchAccount(**account)})


def _renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """The history of a probe as earlier versions wrote it, under today's names."""
    kept = state['kept']
    renamed = dict(settings=state['shared'], selected=kept.get('chosen'), last=kept.get('last'))
    return {**state, **renamed, 'held_out': state.get('held_out'), 'validated': state['told']}
