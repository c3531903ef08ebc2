"""The interval of a proportion."""

import math


def wilson(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a proportion, in percent (Wilson 1927); sane at 0 and 100 %, where the normal one is not."""
    if not total:
        return 0.0, 100.0
    p, zz = correct / total, z * z / total
    middle, half = p + zz / 2, z * math.sqrt(p * (1 - p) / total + zz / (4 * total))
    return 100 * max(0.0, (middle - half) / (1 + zz)), 100 * min(1.0, (middle + half) / (1 + zz))
