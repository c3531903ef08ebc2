"""Accuracy of one classifier."""

import numpy as np
import torch
from mmengine.logging import MessageHub

from ..registry import METRICS
from ..statistics.per_image import Predictions
from ..statistics.wilson import wilson
from .score_report import ReportingMetric, ScoreReport

EPOCHS = 'validated_epochs'  # on mmengine's message hub, and so in every checkpoint: epoch -> correct images


@METRICS.register_module()
class Accuracy(ReportingMetric):
    """Top-1 and top-5 in percent, over samples of image name, label and scores (K,), with Wilson's intervals.

    With five classes or fewer top-5 is 100. A tie counts for the class that comes first.

    best_epoch: also report top-1 of the best epoch so far (`top1_best_epoch`), chosen on these very images as the
        official scripts do; which it was, and of how many, stands in the details. An evaluation of a network that was
        not trained has none.
    """

    def __init__(self, collect_device: str = 'cpu', best_epoch: bool = False):
        super().__init__(collect_device)
        self.best_epoch = best_epoch

    def process(self, data_batch, data_samples) -> None:
        for sample in data_samples:
            order = torch.sort(sample['scores'], descending=True, stable=True).indices[:5].tolist()
            self.results.append((sample['image'], sample['label'], order))

    def compute_metrics(self, results: list[tuple[str, int, list[int]]]) -> dict[str, float]:
        images, labels, orders = map(list, zip(*results, strict=True))
        first = [order[0] for order in orders]
        predictions = Predictions.of(images, np.array(labels), np.array(first))
        hits = dict(
            top1=int(predictions.correct.sum()), top5=sum(label in order for label, order in zip(labels, orders))
        )
        best, details = self._best(hits['top1']) if self.best_epoch else ({}, None)
        hits |= best
        self.report = ScoreReport(
            values={name: 100 * count / len(labels) for name, count in hits.items()},
            ci95={name: wilson(count, len(labels)) for name, count in hits.items()},
            per_image=predictions,
            details=details,
        )
        return self.report.values

    def _best(self, correct: int) -> tuple[dict[str, int], dict[str, int] | None]:
        """(correct images of the best epoch, this one included; which it was); nothing where nothing is trained."""
        hub = MessageHub.get_current_instance()
        finished = hub.get_info('epoch')  # of the epoch that has just ended, from 0
        if finished is None:
            return {}, None
        seen = {**hub.get_info(EPOCHS, {}), finished + 1: correct}
        hub.update_info(EPOCHS, seen)
        best = max(seen, key=lambda epoch: (seen[epoch], -epoch))
        return dict(top1_best_epoch=seen[best]), dict(best_epoch=best, epochs_validated=len(seen))
