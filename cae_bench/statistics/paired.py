"""Is a difference more than luck? Paired tests on the same validation images, and a weaker one from two intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import RecordError
from ..results.record import Metric, Record
from ..results.store import read_per_image

RESAMPLES = 2000
UNPAIRED = 'two intervals as if from different images: careful, misses small differences'


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A - B of one metric, in its unit, with its 95 % interval and the probability of as much by luck alone."""

    metric: str
    unit: str
    a: float  # mean over A's runs
    b: float
    ci95: tuple[float, float] | None = None
    p: float | None = None
    test: str = 'no interval and no per-image columns kept: significance unknown'

    @property
    def significant(self) -> bool | None:
        return None if self.ci95 is None else not self.ci95[0] <= 0 <= self.ci95[1]


def differences(
    a: Sequence[Record], b: Sequence[Record], damaged: list[RecordError] | None = None
) -> tuple[Difference, ...]:
    """One for each metric all runs have, by the strongest test their files allow.

    Args:
        a, b: the runs of each model, seed by seed. One run each: McNemar's test or a bootstrap over images. More:
            images and seeds are both luck, see `pooled.pooled_interval`.
        damaged: gets the errors of per-image files that cannot be read, which are done without; raised without a list.
    """
    runs = [*a, *b]
    columns = _same_images([_per_image(run, damaged) for run in runs])
    common = [name for name in a[0].metrics if all(name in run.metrics for run in runs)]
    drawn = _draws(columns) if columns else {}
    if len(runs) == 2:
        return tuple(_difference(name, a[0].metrics[name], b[0].metrics[name], columns, drawn) for name in common)
    images = len(columns[0]['image']) if columns else a[0].dataset.num_val
    return tuple(_pooled(name, [run.metrics[name] for run in runs], len(a), columns, drawn, images) for name in common)


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test: images that only A, that only B got right."""
    n, few = only_a + only_b, min(only_a, only_b)
    if n > 1000:  # the normal limit, with continuity correction
        return math.erfc(max(0, abs(only_a - only_b) - 1) / math.sqrt(2 * n))
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / 2**n)


def miou_gaps(a: dict, b: dict, seed: int = 0):
    """mIoU(A) - mIoU(B) in percent for each draw of images with replacement, the same images for both."""
    scores = miou_draws([a, b], seed)
    return scores[0] - scores[1]


def miou_draws(runs: list[dict], seed: int = 0):
    """(runs, draws) mIoU in percent on draws of images with replacement, the same images for all runs.

    Args:
        runs: columns `intersection` and `union`, for each image a list of pixel counts per class.
    """
    import numpy as np

    images = len(runs[0]['union'])
    draws = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.float64)

    def drawn(columns: dict):
        counts = [draws @ np.asarray(columns[name], dtype=np.float64) for name in ('intersection', 'union')]
        with np.errstate(invalid='ignore'):
            return 100 * np.nanmean(counts[0] / counts[1], axis=1)  # a class nobody drew is left out

    return np.stack([drawn(columns) for columns in runs])


def bootstrap(gaps) -> tuple[tuple[float, float], float]:
    """(95 % interval, two-sided p) from the differences of all draws."""
    import numpy as np

    gaps = gaps[~np.isnan(gaps)]  # draws in which no object is
    low, high = np.percentile(gaps, [2.5, 97.5])
    tail = min((gaps <= 0).mean(), (gaps >= 0).mean())
    return (float(low), float(high)), float(min(1.0, max(2 * tail, 1 / len(gaps))))


def _draws(runs: list[dict]) -> dict:
    """Metric -> (runs, draws) scores over draws of images, for metrics that are no mean over images."""
    if all({'intersection', 'union'} <= set(columns) for columns in runs):
        return {'mIoU': miou_draws(runs)}
    from .paired_ap import draws

    return draws(runs, RESAMPLES)


def _difference(name: str, a: Metric, b: Metric, columns: list[dict] | None, drawn: dict) -> Difference:
    """Of one run each."""
    scores = dict(metric=name, unit=a.unit, a=a.value, b=b.value)
    if columns and name == 'top1' and all('correct' in c for c in columns):
        gaps = [int(x) - int(y) for x, y in zip(columns[0]['correct'], columns[1]['correct'])]
        return Difference(**scores, **_from_correct(gaps))
    if name in drawn:
        ci95, p = bootstrap(drawn[name][0] - drawn[name][1])
        return Difference(**scores, ci95=ci95, p=p, test=f'paired bootstrap over {len(columns[0]["image"])} images')
    if a.ci95 and b.ci95:
        error = math.hypot(a.ci95[1] - a.ci95[0], b.ci95[1] - b.ci95[0]) / 2 / 1.96
        gap = a.value - b.value
        p = math.erfc(abs(gap) / error / math.sqrt(2)) if error else float(gap == 0)
        return Difference(**scores, ci95=(gap - 1.96 * error, gap + 1.96 * error), p=p, test=UNPAIRED)
    return Difference(**scores)


def _pooled(
    name: str, metrics: list[Metric], n: int, columns: list[dict] | None, drawn: dict, images: int
) -> Difference:
    """Of several runs, the first n of them A's."""
    import numpy as np

    from .pooled import pooled_interval

    values = np.array([metric.value for metric in metrics])
    scores = dict(metric=name, unit=metrics[0].unit, a=float(values[:n].mean()), b=float(values[n:].mean()))
    seeds = f'{n} + {len(values) - n} seeds'
    if columns and name == 'top1' and all('correct' in c for c in columns):
        correct = 100 * np.array([c['correct'] for c in columns], dtype=np.float64)
        covariance, test = np.cov(correct) / images, f'paired over {images} images and {seeds}'
    elif name in drawn:
        covariance = np.cov(drawn[name][:, ~np.isnan(drawn[name]).any(0)])
        test = f'paired bootstrap over {images} images, {seeds}'
    elif all(metric.ci95 for metric in metrics):
        errors = np.array([metric.ci95[1] - metric.ci95[0] for metric in metrics]) / 2 / 1.96
        ours = np.arange(len(values)) < n  # runs of one model as if equal on every image
        covariance, test = np.outer(errors, errors) * (ours[:, None] == ours), f'{seeds}, {UNPAIRED}'
    else:
        return Difference(**scores)
    ci95, p = pooled_interval(values[:n], values[n:], covariance, images)
    return Difference(**scores, ci95=ci95, p=p, test=test)


def _from_correct(gaps: list[int]) -> dict:
    n, only_a, only_b = len(gaps), gaps.count(1), gaps.count(-1)
    gap = (only_a - only_b) / n
    half = 1.96 * math.sqrt(max(0.0, (only_a + only_b) / n - gap**2) / n)
    return dict(
        ci95=(100 * (gap - half), 100 * (gap + half)), p=mcnemar(only_a, only_b), test=f'McNemar over {n} images'
    )


def _per_image(run: Record, damaged: list[RecordError] | None) -> dict | None:
    try:
        return read_per_image(run)
    except RecordError as error:
        if damaged is None:
            raise
        damaged.append(error)
        return None


def _same_images(runs: list[dict | None]) -> list[dict] | None:
    """All sets of columns in the order of the first one's images; None unless they are the same images."""
    if not all(runs) or len(set(runs[0]['image'])) != len(runs[0]['image']):
        return None
    names = sorted(runs[0]['image'])
    if any(sorted(columns['image']) != names for columns in runs):
        return None
    return [runs[0], *(_ordered(columns, runs[0]['image']) for columns in runs[1:])]


def _ordered(columns: dict, images: list[str]) -> dict:
    if columns['image'] == images:
        return columns
    place = {image: i for i, image in enumerate(columns['image'])}
    return {name: [values[place[image]] for image in images] for name, values in columns.items()}
