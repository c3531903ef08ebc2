"""Accuracy of one classifier."""

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub

from ..registry import METRICS
from .accuracy import wilson

EPOCHS = 'validated_epochs'  # on mmengine's message hub, and so in every checkpoint: epoch -> correct images


@METRICS.register_module()
class Accuracy(BaseMetric):
    """Top-1 and top-5 in percent, over samples of image name, label and scores (K,).

    With five classes or fewer top-5 is 100. A tie counts for the class that comes first.

    best_epoch: also tell top-1 of the best epoch so far (`top1_best_epoch`), chosen on these very images as the official
        scripts do. An evaluation of a network that was not trained has none.

    Attributes, after evaluate():
        per_image: columns image, label, prediction, correct.
        ci95: metric -> (low, high) in percent, Wilson's.
        details: which epoch was the best, and of how many.
    """

    def __init__(self, collect_device: str = 'cpu', best_epoch: bool = False):
        super().__init__(collect_device)
        self.best_epoch = best_epoch
        self.details: dict[str, int] = {}
        self.per_image: dict[str, list] = {}
        self.ci95: dict[str, tuple[float, float]] = {}

    def process(self, data_batch, data_samples) -> None:
        for sample in data_samples:
            order = torch.sort(sample['scores'], descending=True, stable=True).indices[:5].tolist()
            self.results.append((sample['image'], sample['label'], order))

    def compute_metrics(self, results: list[tuple[str, int, list[int]]]) -> dict[str, float]:
        images, labels, orders = map(list, zip(*results, strict=True))
        correct = [order[0] == label for label, order in zip(labels, orders)]
        hits = dict(top1=sum(correct), top5=sum(label in order for label, order in zip(labels, orders)))
        self.per_image = dict(image=images, label=labels, prediction=[order[0] for order in orders], correct=correct)
        if self.best_epoch:
            hits |= self._best(hits['top1'])
        self.ci95 = {name: wilson(count, len(labels)) for name, count in hits.items()}
        return {name: 100 * count / len(labels) for name, count in hits.items()}

    def _best(self, correct: int) -> dict[str, int]:
        """Correct images of the best epoch, this one included; {} where nothing is trained."""
        hub = MessageHub.get_current_instance()
        finished = hub.get_info('epoch')  # of the epoch that has just ended, from 0
        if finished is None:
            return {}
        seen = {**hub.get_info(EPOCHS, {}), finished + 1: correct}
        hub.update_info(EPOCHS, seen)
        best = max(seen, key=lambda epoch: (seen[epoch], -epoch))
        self.details = dict(best_epoch=best, epochs_validated=len(seen))
        return dict(top1_best_epoch=seen[best])
