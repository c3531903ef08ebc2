"""Is the difference between two runs more than luck? Tests on the same validation images, and a weaker one of intervals.

Of several runs a side: `pooled.py`.
"""

import math
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
Z = 1.96  # half a 95 % interval of the normal distribution, in standard errors
Interval = tuple[float, float]


@dataclass(frozen=True)
class Gap:
    """A - B of one score, in its unit."""

    ci95: Interval
    p: float  # two-sided: the probability of so large a gap by luck alone


def gap_of_correct(a: np.ndarray, b: np.ndarray) -> Gap:
    """McNemar's test of two top-1 accuracies, in percent.

    Args:
        a, b: (images,) bool, whether each run is right on each image.
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n = len(a)
    gap = (only_a - only_b) / n
    half = Z * math.sqrt(max(0.0, (only_a + only_b) / n - gap**2) / n)
    return Gap((100 * (gap - half), 100 * (gap + half)), mcnemar(only_a, only_b))


def gap_of_intervals(a: float, b: float, ci95_a: Interval, ci95_b: Interval) -> Gap:
    """A test of two scores from their intervals, as if from different images: it misses small differences."""
    error = math.hypot(_width(ci95_a), _width(ci95_b)) / 2 / Z
    gap = a - b
    p = math.erfc(abs(gap) / error / math.sqrt(2)) if error else float(gap == 0)
    return Gap((gap - Z * error, gap + Z * error), p)


def gap_of_draws(a: np.ndarray, b: np.ndarray) -> Gap:
    """The paired bootstrap.

    Args:
        a, b: (draws,) scores on the same draws of images; NaN where no object was drawn.
    """
    gaps = (a - b)[~np.isnan(a - b)]
    low, high = np.percentile(gaps, [2.5, 97.5])
    tail = min((gaps <= 0).mean(), (gaps >= 0).mean())
    return Gap((float(low), float(high)), float(min(1.0, max(2 * tail, 1 / len(gaps)))))


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test: images that only A, that only B got right."""
    n, few = only_a + only_b, min(only_a, only_b)
    if n > 1000:  # the normal limit, with continuity correction
        return math.erfc(max(0, abs(only_a - only_b) - 1) / math.sqrt(2 * n))
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / 2**n)


def _width(interval: Interval) -> float:
    return interval[1] - interval[0]
