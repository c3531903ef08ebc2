"""Is a difference more than luck? Paired tests on the same validation images, and a weaker one from two intervals."""
import math
from dataclasses import dataclass

from .record import Metric, Record
from .store import read_per_image

RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A - B of one metric, in its unit, with its 95 % interval and the probability of as much by luck alone."""
    metric: str
    unit: str
    a: float
    b: float
    ci95: tuple[float, float] | None = None
    p: float | None = None
    test: str = 'no interval and no per-image columns kept: significance unknown'

    @property
    def significant(self) -> bool | None:
        return None if self.ci95 is None else not self.ci95[0] <= 0 <= self.ci95[1]


def differences(a: Record, b: Record) -> tuple[Difference, ...]:
    """One for each metric both records have, by the strongest test their files allow."""
    columns = _same_images(read_per_image(a), read_per_image(b))
    common = [name for name in a.metrics if name in b.metrics]
    drawn = _drawn(columns) if columns else {}
    return tuple(_difference(name, a.metrics[name], b.metrics[name], columns, drawn) for name in common)


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test: images that only A, that only B got right."""
    n, few = only_a + only_b, min(only_a, only_b)
    if n > 1000:                                     # the normal limit, with continuity correction
        return math.erfc(max(0, abs(only_a - only_b) - 1) / math.sqrt(2 * n))
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / 2 ** n)


def miou_gaps(a: dict, b: dict, seed: int = 0):
    """mIoU(A) - mIoU(B) in percent for each draw of images with replacement, the same images for both.

    Args:
        a, b: columns `intersection` and `union`, for each image a list of pixel counts per class.
    """
    import numpy as np
    images = len(a['union'])
    draws = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.float64)

    def drawn(columns: dict):
        counts = [draws @ np.asarray(columns[name], dtype=np.float64) for name in ('intersection', 'union')]
        with np.errstate(invalid='ignore'):
            return 100 * np.nanmean(counts[0] / counts[1], axis=1)             # a class nobody drew is left out
    return drawn(a) - drawn(b)


def _drawn(columns: tuple[dict, dict]) -> dict:
    """Metric -> differences over draws of images, for metrics that are no mean over images."""
    if all({'intersection', 'union'} <= set(c) for c in columns):
        return {'mIoU': miou_gaps(*columns)}
    from .paired_ap import gaps
    return gaps(*columns, RESAMPLES)


def bootstrap(gaps) -> tuple[tuple[float, float], float]:
    """(95 % interval, two-sided p) from the differences of all draws."""
    import numpy as np
    gaps = gaps[~np.isnan(gaps)]                     # draws in which no object is
    low, high = np.percentile(gaps, [2.5, 97.5])
    tail = min((gaps <= 0).mean(), (gaps >= 0).mean())
    return (float(low), float(high)), float(min(1.0, max(2 * tail, 1 / len(gaps))))


def _difference(name: str, a: Metric, b: Metric, columns: tuple[dict, dict] | None, drawn: dict) -> Difference:
    told = dict(metric=name, unit=a.unit, a=a.value, b=b.value)
    if columns and name == 'top1' and all('correct' in c for c in columns):
        gaps = [int(x) - int(y) for x, y in zip(columns[0]['correct'], columns[1]['correct'])]
        return Difference(**told, **_from_correct(gaps))
    if name in drawn:
        ci95, p = bootstrap(drawn[name])
        return Difference(**told, ci95=ci95, p=p, test=f"paired bootstrap over {len(columns[0]['image'])} images")
    if a.ci95 and b.ci95:
        error = math.hypot(a.ci95[1] - a.ci95[0], b.ci95[1] - b.ci95[0]) / 2 / 1.96
        gap = a.value - b.value
        p = math.erfc(abs(gap) / error / math.sqrt(2)) if error else float(gap == 0)
        return Difference(**told, ci95=(gap - 1.96 * error, gap + 1.96 * error), p=p,
                          test='two intervals as if from different images: careful, misses small differences')
    return Difference(**told)


def _from_correct(gaps: list[int]) -> dict:
    n, only_a, only_b = len(gaps), gaps.count(1), gaps.count(-1)
    gap = (only_a - only_b) / n
    half = 1.96 * math.sqrt(max(0.0, (only_a + only_b) / n - gap ** 2) / n)
    return dict(ci95=(100 * (gap - half), 100 * (gap + half)), p=mcnemar(only_a, only_b),
                test=f'McNemar over {n} images')


def _same_images(a: dict | None, b: dict | None) -> tuple[dict, dict] | None:
    """Both sets of columns in the order of A's images; None unless they are the same images."""
    if not a or not b or sorted(a['image']) != sorted(b['image']) or len(set(a['image'])) != len(a['image']):
        return None
    place = {image: i for i, image in enumerate(b['image'])}
    order = [place[image] for image in a['image']]
    return a, {name: [values[i] for i in order] for name, values in b.items()}
