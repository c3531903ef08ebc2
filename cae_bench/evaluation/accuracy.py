"""Accuracy: of one classifier, and of many frozen-feature heads with the choice among them told in full."""

import math

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub

from ..registry import METRICS

HISTORY = 'frozen_history'  # on mmengine's message hub, and so in every checkpoint: curves survive an interruption

SKIPPED = 'frozen_skipped'  # there too: images of both splits that cannot be decoded
SELECTIONS = {'best': 'paper', 'last': 'last epoch', 'first': 'fixed'}  # a probe's `select` -> the record's word


def wilson(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a proportion, in percent (Wilson 1927); sane at 0 and 100 %, where the normal one is not."""
    if not total:
        return 0.0, 100.0
    p, zz = correct / total, z * z / total
    middle, half = p + zz / 2, z * math.sqrt(p * (1 - p) / total + zz / (4 * total))
    return 100 * max(0.0, (middle - half) / (1 + zz)), 100 * min(1.0, (middle + half) / (1 + zz))


@METRICS.register_module()
class ProbeAccuracy(BaseMetric):
    """Top-1 and top-5 of every cell of every probe, after each epoch; `<protocol>/top1` is that of the selected cell.

    How a cell is selected, by the probe's `select`: 'best' is the best cell and epoch on the validation split, as
    published (the official code prints the running maximum); 'last' the best cell of the last epoch; 'first' always the
    first cell, with nothing chosen on validation data. `<protocol>/top1_last` and, where a tenth of train was held
    out, `<protocol>/top1_held_out` stand beside it: the cell that did best on held-out training images at the end.
    Where a probe is scored by batch statistics, all of these are, and `<protocol>/top1_running_stats` is what the selected
    cell and epoch score by running statistics.

    Attributes, after evaluate():
        selection: protocol -> how it was selected, the chosen hyper-parameters, the curve over cells and epochs.
        per_image: protocol -> columns image, label, prediction, correct of the selected cell and epoch.
        ci95: metric -> (low, high) in percent.
    """

    def __init__(self, collect_device: str = 'cpu'):
        super().__init__(collect_device)
        self.heads: dict = {}  # protocol -> Probe; the validation loop hands them over
        self.selection: dict[str, dict] = {}
        self.per_image: dict[str, dict] = {}
        self.ci95: dict[str, tuple[float, float]] = {}

    def process(self, data_batch, data_samples) -> None:
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        hub = MessageHub.get_current_instance()
        history = hub.get_info(HISTORY, {})
        skipped = {r['skipped'] for r in results if 'skipped' in r}
        hub.update_info(SKIPPED, sorted({*hub.get_info(SKIPPED, []), *skipped}))
        everything, results = results, [r for r in results if 'skipped' not in r]
        images, labels = [r['image'] for r in results], np.array([r['label'] for r in results])
        for name in results[0]['probes'] if results else ():
            predicted = np.stack([r['probes'][name][0] for r in results])
            hits = np.stack([r['probes'][name][1] for r in results])
            more = {}
            if name in results[0].get('pooled', ()):
                more['top1_running_stats'] = (100 * (predicted == labels[:, None]).mean(0)).tolist()
                predicted, hits, more['batch_statistics'] = self._by_batch_statistics(name, everything)
            remember(history[name], predicted, predicted == labels[:, None], hits, **more)
        hub.update_info(HISTORY, history)
        metrics = {}
        for name, told in history.items():
            if told['epochs']:
                metrics |= self._report(name, told, images, labels)
        return metrics

    def _by_batch_statistics(self, name: str, results: list[dict]) -> tuple[np.ndarray, np.ndarray, list[dict]]:
        """(predicted, hits, an account for each cell); images left out have a place in `results`, and no row."""
        head = self.heads[name]
        there = np.array(['skipped' not in r for r in results])
        made = head.by_batch_statistics(
            [r['pooled'][name] if 'pooled' in r else None for r in results],
            np.array([r.get('label', -1) for r in results]),
        )
        accounts = [
            dict(
                head.eval_batch_stats,
                batches=made.batches,
                repeats=made.repeats,
                alone=made.alone,
                top1_with_repeats=float(top1),
            )
            for top1 in made.with_repeats
        ]
        return made.predicted[there], made.hits[there], accounts

    def _report(self, name: str, told: dict, images: list[str], labels: np.ndarray) -> dict[str, float]:
        chosen, last = told['kept']['chosen'], told['kept']['last']
        correct = chosen['prediction'] == labels
        self.per_image[name] = dict(
            image=images, label=labels.tolist(), prediction=chosen['prediction'].tolist(), correct=correct.tolist()
        )
        running = chosen.get('top1_running_stats')
        if all(told['diverged']):  # predictions of weights that are not numbers are no score
            chosen, running = dict(chosen, top1=math.nan, top5=math.nan), running and math.nan
        metrics = {f'{name}/top1': chosen['top1'], f'{name}/top5': chosen['top5']}
        self.ci95[f'{name}/top1'] = wilson(int(correct.sum()), len(labels))
        if told['select'] != 'first':
            metrics[f'{name}/top1_last'] = last['top1']
            self.ci95[f'{name}/top1_last'] = wilson(int((last['prediction'] == labels).sum()), len(labels))
        if running is not None:
            metrics[f'{name}/top1_running_stats'] = running
            self.ci95[f'{name}/top1_running_stats'] = wilson(
                round(chosen['top1_running_stats'] * len(labels) / 100), len(labels)
            )
        held_out = told.get('held_out')
        if held_out:
            cell = int(np.argmax(alive(held_out['top1'], told['diverged'])))
            reported = told['epochs'][-1]['top1'][cell]
            metrics[f'{name}/top1_held_out'] = reported
            self.ci95[f'{name}/top1_held_out'] = wilson(round(reported * len(labels) / 100), len(labels))
            held_out = dict(held_out, cell=told['cells'][cell], reported=reported)
        skipped = MessageHub.get_current_instance().get_info(SKIPPED, [])
        self.selection[name] = dict(
            by=selected_by(told),
            epoch=chosen['epoch'],
            chosen=told['cells'][chosen['cell']],
            last=dict(told['cells'][last['cell']], top1=last['top1']),
            held_out=held_out,
            curve=curve(told),
            shared=told['shared'],
            batch_statistics=chosen.get('batch_statistics'),
            skipped=dict(count=len(skipped), images=skipped),
        )
        return metrics


def selected_by(told: dict) -> str:
    """'paper', 'last epoch', or 'fixed' where there was one setting and one moment to take."""
    if told['select'] == 'last' and len(told['cells']) == 1:
        return 'fixed'
    return SELECTIONS[told['select']]


def start_history(cells: list[dict], select: str, **shared) -> dict:
    """An empty page for a probe; `shared` is whatever else belongs into the record (views, batch, precision ...)."""
    return dict(cells=cells, select=select, shared=shared, epochs=[], kept={}, diverged=[False] * len(cells))


def remember(told: dict, predicted: np.ndarray, correct: np.ndarray, hits: np.ndarray, **more: list) -> None:
    """Adds one validation of all cells, and keeps the predictions of the cells that may be reported.

    more: lists with one entry for each cell, of which that of a kept cell is kept.
    """
    top1, top5 = (100 * correct.mean(0)).tolist(), (100 * hits.mean(0)).tolist()
    epoch = told['epoch'] if 'epoch' in told else len(told['epochs']) + 1
    told['epochs'].append(dict(epoch=epoch, top1=top1, top5=top5))
    cell = 0 if told['select'] == 'first' else int(np.argmax(alive(top1, told['diverged'])))
    now = dict(
        epoch=epoch,
        cell=cell,
        top1=top1[cell],
        top5=top5[cell],
        prediction=predicted[:, cell].copy(),
        **{key: values[cell] for key, values in more.items()},
    )
    told['kept']['last'] = now
    before = told['kept'].get('chosen')
    if before is None or told['select'] != 'best' or now['top1'] > before['top1']:
        told['kept']['chosen'] = now


def alive(values: list[float], diverged: list[bool]) -> list[float]:
    """A diverged cell is never the best."""
    return [-1.0 if gone else v for v, gone in zip(values, diverged)]


def curve(told: dict) -> list[dict]:
    """For each cell: its hyper-parameters, best and last top-1, the epoch of the best, and whether it diverged."""
    rows = []
    for i, cell in enumerate(told['cells']):
        tops = [e['top1'][i] for e in told['epochs']]
        rows.append(
            dict(
                cell,
                top1_best=max(tops),
                epoch_best=told['epochs'][int(np.argmax(tops))]['epoch'],
                top1_last=tops[-1],
                diverged=told['diverged'][i],
            )
        )
    return rows
