"""By how much the runs of two models differ, metric by metric, by the strongest test that their files allow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..errors import RecordError
from ..statistics import paired, paired_ap, paired_miou, pooled
from ..statistics.per_image import Counts, Detections, Predictions
from .per_image_file import read_per_image
from .record import Metric, Record

UNPAIRED = 'two intervals as if from different images: careful, misses small differences'
UNKNOWN = 'no interval and no per-image columns kept: significance unknown'
Columns = dict[str, list[Any]]  # per image
T = TypeVar('T')


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A - B of one metric, in its unit, with its 95 % interval and the probability of as much by luck alone."""

    metric: str
    unit: str
    a: float  # mean over A's runs
    b: float
    ci95: tuple[float, float] | None = None
    p: float | None = None
    test: str = UNKNOWN

    @property
    def significant(self) -> bool | None:
        return None if self.ci95 is None else not self.ci95[0] <= 0 <= self.ci95[1]


@dataclass(frozen=True)
class SharedImages:
    """What all runs kept of the same images in the same order."""

    images: int
    correct: np.ndarray | None  # (runs, images) bool, of a classification
    draws: dict[str, np.ndarray]  # metric -> (runs, draws), of metrics that are no mean over images


def differences(
    a: Sequence[Record], b: Sequence[Record], damaged: list[RecordError] | None = None
) -> tuple[Difference, ...]:
    """One for each metric that all runs have.

    Args:
        a, b: the runs of each model, seed by seed. One run each: McNemar's test or a bootstrap over images. More:
            images and seeds are both luck, see `statistics.pooled`.
        damaged: gets the errors of per-image files that cannot be read, which are done without; raised without a list.
    """
    runs = [*a, *b]
    kept = _shared_images(runs, damaged)
    found = []
    for name in a[0].metrics:
        if not all(name in run.metrics for run in runs):
            continue
        ours = [run.metrics[name] for run in a]
        theirs = [run.metrics[name] for run in b]
        if len(runs) == 2:
            found.append(_of_one_run_each(name, ours[0], theirs[0], kept))
        else:
            found.append(_of_several(name, ours, theirs, kept, kept.images if kept else a[0].dataset.num_val))
    return tuple(found)


def _of_one_run_each(name: str, a: Metric, b: Metric, kept: SharedImages | None) -> Difference:
    if kept and name == 'top1' and kept.correct is not None:
        gap, test = paired.gap_of_correct(*kept.correct), f'McNemar over {kept.images} images'
    elif kept and name in kept.draws:
        gap, test = paired.gap_of_draws(*kept.draws[name]), f'paired bootstrap over {kept.images} images'
    elif a.ci95 and b.ci95:
        gap, test = paired.gap_of_intervals(a.value, b.value, a.ci95, b.ci95), UNPAIRED
    else:
        return Difference(metric=name, unit=a.unit, a=a.value, b=b.value)
    return Difference(metric=name, unit=a.unit, a=a.value, b=b.value, ci95=gap.ci95, p=gap.p, test=test)


def _of_several(name: str, a: list[Metric], b: list[Metric], kept: SharedImages | None, images: int) -> Difference:
    metrics, seeds = [*a, *b], f'{len(a)} + {len(b)} seeds'
    ours = np.array([metric.value for metric in a])
    theirs = np.array([metric.value for metric in b])
    mean_a, mean_b = float(ours.mean()), float(theirs.mean())
    intervals = [metric.ci95 for metric in metrics if metric.ci95]
    if kept and name == 'top1' and kept.correct is not None:
        covariance = pooled.covariance_of_correct(kept.correct)
        test = f'paired over {images} images and {seeds}'
    elif kept and name in kept.draws:
        covariance = pooled.covariance_of_draws(kept.draws[name])
        test = f'paired bootstrap over {images} images, {seeds}'
    elif len(intervals) == len(metrics):
        covariance = pooled.covariance_of_intervals(np.array(intervals), len(a))
        test = f'{seeds}, {UNPAIRED}'
    else:
        return Difference(metric=name, unit=a[0].unit, a=mean_a, b=mean_b)
    gap = pooled.pooled_gap(ours, theirs, covariance, images)
    return Difference(metric=name, unit=a[0].unit, a=mean_a, b=mean_b, ci95=gap.ci95, p=gap.p, test=test)


def _shared_images(runs: Sequence[Record], damaged: list[RecordError] | None) -> SharedImages | None:
    """None unless all runs kept columns of the same images."""
    columns = _in_one_order([_read(run, damaged) for run in runs])
    if columns is None:
        return None
    correct = None
    predictions = _of_all(columns, Predictions.unpack)
    if predictions:
        correct = np.stack([run.correct for run in predictions])
    return SharedImages(len(columns[0]['image']), correct, _draws(columns))


def _draws(columns: list[Columns]) -> dict[str, np.ndarray]:
    """Metric -> (runs, draws) scores over draws of images."""
    if counts := _of_all(columns, Counts.unpack):
        return {'mIoU': paired_miou.draws(counts, paired.RESAMPLES)}
    if detections := _of_all(columns, Detections.unpack):
        return paired_ap.draws(detections, paired.RESAMPLES)
    return {}


def _of_all(columns: list[Columns], unpack: Callable[[Columns], T | None]) -> list[T]:
    """The columns of every run unpacked; empty where those of one are of another kind of task."""
    unpacked = [kept for run in columns if (kept := unpack(run)) is not None]
    return unpacked if len(unpacked) == len(columns) else []


def _read(run: Record, damaged: list[RecordError] | None) -> Columns | None:
    try:
        return read_per_image(run)
    except RecordError as error:
        if damaged is None:
            raise
        damaged.append(error)
        return None


def _in_one_order(runs: Sequence[Columns | None]) -> list[Columns] | None:
    """All sets of columns in the order of the first one's images; None unless they are the same images."""
    kept = [columns for columns in runs if columns]
    if len(kept) < len(runs) or len(set(kept[0]['image'])) != len(kept[0]['image']):
        return None
    images = kept[0]['image']
    names = sorted(images)
    if any(sorted(columns['image']) != names for columns in kept):
        return None
    return [_ordered(columns, images) for columns in kept]


def _ordered(columns: Columns, images: list[str]) -> Columns:
    if columns['image'] == images:
        return columns
    place = {image: i for i, image in enumerate(columns['image'])}
    order = [place[image] for image in images]
    ordered = {}
    for name, values in columns.items():
        ordered[name] = [values[i] for i in order]
    return ordered
