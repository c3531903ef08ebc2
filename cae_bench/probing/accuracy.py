"""Accuracy of many heads on frozen features, with the whole story of which of them is reported."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..evaluation.score_report import ReportingMetric, ScoreReport, name_in_pass
from ..registry import METRICS
from ..statistics.per_image import Predictions
from ..statistics.wilson import wilson
from .batch_statistics import BatchAccount, ScoredInGroups
from .history import CellValidation, PassHistory, ProbeHistory, Select


@METRICS.register_module()
class ProbeAccuracy(ReportingMetric):
    """Top-1 and top-5 of every cell of every probe, after each epoch; `<protocol>/top1` is that of the selected cell.

    How a cell is selected, by the probe's `select`: see `history.Select`. `<protocol>/top1_last` and, where a tenth of
    train was held out, `<protocol>/top1_held_out` stand beside it: the cell that did best on held-out training images at
    the end. Where a probe is scored by batch statistics, all of these are, and `<protocol>/top1_running_stats` is what
    the selected cell and epoch score by running statistics.

    Attributes:
        heads: protocol -> probe that is scored by batch statistics; the validation loop hands them over.
        history: of the pass; the training loop's own, handed over too.
        reports: protocol -> ScoreReport, after evaluate(), on the main process.
    """

    def __init__(self, collect_device: str = 'cpu'):
        super().__init__(collect_device)
        self.heads: Mapping[str, ScoredInGroups] = {}
        self.history = PassHistory()
        self.reports: dict[str, ScoreReport] = {}

    def report_of(self, protocol: str) -> ScoreReport | None:
        return self.reports.get(protocol)

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """data_samples: what `FrozenProbes.val_step` makes of each image."""
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        self.history.skip(result['skipped'] for result in results if 'skipped' in result)
        decoded = [result for result in results if 'skipped' not in result]
        labels = np.array([result['label'] for result in decoded])
        for name in decoded[0]['probes'] if decoded else ():
            self.history.probes[name].record(self.history.epoch, self._validation(name, results, labels))
        images = [result['image'] for result in decoded]
        for name, history in self.history.probes.items():
            if history.epochs:
                self.reports[name] = report(history, images, labels, self.history.skipped)
        return {
            name_in_pass(name, metric): value
            for name, one in self.reports.items()
            for metric, value in one.values.items()
        }

    def _validation(self, name: str, results: list[dict], labels: np.ndarray) -> CellValidation:
        """Of all cells of a probe on the images that could be decoded; labels: (images,)."""
        decoded = [result for result in results if 'skipped' not in result]
        predicted = np.stack([result['probes'][name][0] for result in decoded])
        correct = predicted == labels[:, None]
        if name in decoded[0].get('pooled', ()):
            return self._by_batch_statistics(name, results, (100 * correct.mean(0)).tolist())
        return CellValidation(predicted, correct, np.stack([result['probes'][name][1] for result in decoded]))

    def _by_batch_statistics(self, name: str, results: list[dict], running_stats: list[float]) -> CellValidation:
        """Images that were left out have a place in `results`, and no row."""
        head = self.heads[name]
        decoded = np.array(['skipped' not in result for result in results])
        labels = np.array([result.get('label', -1) for result in results])
        pooled = [result['pooled'][name] if 'pooled' in result else None for result in results]
        scores = head.by_batch_statistics(pooled, labels)
        assert head.eval_batch_stats is not None, f'{name} has features of whole groups, and no groups'
        accounts = [
            BatchAccount(
                **head.eval_batch_stats,
                batches=scores.batches,
                repeats=scores.repeats,
                alone=scores.alone,
                top1_with_repeats=float(top1),
            )
            for top1 in scores.with_repeats
        ]
        predicted = scores.predicted[decoded]
        return CellValidation(
            predicted, predicted == labels[decoded, None], scores.hits[decoded], running_stats, accounts
        )


def report(history: ProbeHistory, images: list[str], labels: np.ndarray, skipped: list[str]) -> ScoreReport:
    """What the record gets to know of a probe.

    Args:
        images: names of the validation images; labels: (images,) their classes.
        skipped: names of images of either split that cannot be decoded.
    """
    selected, last, total = history.selected, history.last, len(labels)
    assert selected is not None and last is not None, 'a probe is reported once it has been validated'
    predictions = Predictions.of(images, labels, selected.prediction)
    values = {'top1': selected.top1, 'top5': selected.top5}
    correct = {'top1': int(predictions.correct.sum())}  # images; top-5 has no interval
    if history.select is not Select.FIRST:
        values['top1_last'], correct['top1_last'] = last.top1, int((last.prediction == labels).sum())
    if (running := selected.top1_running_stats) is not None:
        values['top1_running_stats'], correct['top1_running_stats'] = running, round(running * total / 100)
    if held_out := _held_out(history):
        reported = held_out['reported']
        values['top1_held_out'], correct['top1_held_out'] = reported, round(reported * total / 100)
    if all(history.diverged):  # predictions of weights that are not numbers are no score
        values |= dict.fromkeys({'top1', 'top5', 'top1_running_stats'} & set(values), math.nan)
    return ScoreReport(
        values=values,
        ci95={name: wilson(count, total) for name, count in correct.items()},
        per_image=predictions,
        selection=dict(
            by=history.selected_by(),
            epoch=selected.epoch,
            chosen=history.cells[selected.cell],
            last=dict(history.cells[last.cell], top1=last.top1),
            held_out=held_out,
            curve=history.curve(),
            shared=asdict(history.settings),
            batch_statistics=selected.batch_statistics and asdict(selected.batch_statistics),
            skipped=dict(count=len(skipped), images=skipped),
        ),
    )


def _held_out(history: ProbeHistory) -> dict[str, Any] | None:
    """The cell that was best on held-out images, and what it scores on validation images at the end."""
    if history.held_out is None:
        return None
    cell = history.best(history.held_out.top1)
    reported = history.epochs[-1].top1[cell]
    return dict(asdict(history.held_out), cell=history.cells[cell], reported=reported)
