"""Accuracy of one classifier."""
import torch
from mmengine.evaluator import BaseMetric

from ..registry import METRICS
from .accuracy import wilson


@METRICS.register_module()
class Accuracy(BaseMetric):
    """Top-1 and top-5 in percent, over samples of image name, label and scores (K,).

    With five classes or fewer top-5 is 100. A tie counts for the class that comes first.

    Attributes, after evaluate():
        per_image: columns image, label, prediction, correct.
        ci95: metric -> (low, high) in percent, Wilson's.
    """

    def __init__(self, collect_device: str = 'cpu'):
        super().__init__(collect_device)
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
        self.ci95 = {name: wilson(count, len(labels)) for name, count in hits.items()}
        return {name: 100 * count / len(labels) for name, count in hits.items()}
