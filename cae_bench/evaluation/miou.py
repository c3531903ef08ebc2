"""mIoU of semantic segmentation: one `bincount` an image, summed over the data set as mmseg's IoUMetric does."""

import os
import warnings
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger

from ..errors import DataError
from ..registry import METRICS
from ..statistics.bootstrap import draws, interval
from ..statistics.per_image import Counts
from .score_report import ReportingMetric, ScoreReport, class_names


def confusion(prediction: torch.Tensor, label: torch.Tensor, num_classes: int, ignore_index: int = 255) -> torch.Tensor:
    """(C, C) int64 pixel counts, row = label, column = prediction; pixels labelled `ignore_index` count nowhere."""
    return _tally(prediction, label, num_classes, ignore_index)[:num_classes]


def _tally(prediction: torch.Tensor, label: torch.Tensor, num_classes: int, ignore_index: int) -> torch.Tensor:
    """`confusion` with a row for every label up to `ignore_index`, or the largest there is.

    Counting the ignored pixels too, and dropping their row, takes a fraction of the time of picking out the others.
    """
    rows = max(num_classes, ignore_index + 1)
    pairs = torch.add(prediction.long(), label, alpha=num_classes).flatten()
    counts = torch.bincount(pairs, minlength=rows * num_classes)
    counts = F.pad(counts, (0, -len(counts) % num_classes)).reshape(-1, num_classes)
    counts[ignore_index] = 0
    return counts


def scores(intersection: np.ndarray, union: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """mIoU, mAcc, aAcc in percent from (..., C) pixel counts; a class that occurs nowhere is left out of the means."""
    with np.errstate(invalid='ignore', divide='ignore'), warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # the mean of no class is NaN
        return {
            'mIoU': 100 * np.nanmean(intersection / union, axis=-1),
            'mAcc': 100 * np.nanmean(intersection / label, axis=-1),
            'aAcc': 100 * intersection.sum(-1) / label.sum(-1),
        }


@METRICS.register_module()
class MeanIoU(ReportingMetric):
    """mIoU, mAcc and aAcc, in percent, with intervals over images drawn with replacement and the IoU of each class."""

    def __init__(self, ignore_index: int = 255, resamples: int = 1000, **kwargs):
        super().__init__(**kwargs)
        self.ignore_index = ignore_index
        self.resamples = resamples

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        num_classes = len(class_names(self))
        for sample in data_samples:
            prediction = sample['pred_sem_seg']['data'].squeeze(0)
            label = sample['gt_sem_seg']['data'].squeeze(0).to(prediction.device)
            counts = _tally(prediction, label, num_classes, self.ignore_index)
            self._check(counts[num_classes:], sample)
            counts = counts[:num_classes]
            hit, labelled, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
            columns = torch.stack([hit, labelled + predicted - hit, labelled]).cpu().numpy()
            self.results.append((sample.get('img_path', ''), columns))

    def _check(self, beyond: torch.Tensor, sample: dict) -> None:
        """beyond: the rows of labels that are no class."""
        if beyond.any():
            num_classes, first = beyond.shape[1], int(beyond.any(1).nonzero()[0])
            raise DataError(
                f'{sample.get("seg_map_path", "a mask")}: label {num_classes + first} is outside the '
                f'{num_classes} classes; correct the mask, the class list or reduce_zero_label'
            )

    def compute_metrics(self, results: list[tuple[str, np.ndarray]]) -> dict[str, float]:
        """results: path of each image, and its pixels (3, C): intersection, union, label."""
        if not results:
            raise DataError('no validation image was evaluated; the validation split is empty')
        paths = [path for path, _ in results]
        pixels = np.stack([columns for _, columns in results], axis=1)  # (3, images, C)
        total = pixels.sum(1)
        with np.errstate(invalid='ignore'):
            iou = 100 * total[0] / total[1]
        self.report = ScoreReport(
            values={name: float(value) for name, value in scores(*total).items()},
            ci95=self._intervals(pixels) if self.resamples else {},
            per_image=Counts(_relative(paths), *pixels),
            per_class=dict(zip(class_names(self), iou.tolist())),
        )
        MMLogger.get_current_instance().info(
            'IoU by class: ' + ', '.join(f'{name} {value:.1f}' for name, value in zip(class_names(self), iou))
        )
        return self.report.values

    def _intervals(self, pixels: np.ndarray) -> dict[str, tuple[float, float]]:
        """pixels: (3, images, C)."""
        weights = draws(pixels.shape[1], self.resamples).astype(np.float64)
        drawn = scores(*(weights @ counts for counts in pixels))
        return {name: interval(values) for name, values in drawn.items()}


def _relative(paths: list[str]) -> list[str]:
    """File names, with as much of the folder as tells them apart."""
    if len(set(map(os.path.basename, paths))) == len(paths):
        return [os.path.basename(path) for path in paths]
    return [os.path.relpath(path, os.path.commonpath(paths)) for path in paths]
