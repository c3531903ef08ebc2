"""The outlines of the scenes' classes, as signed distances: negative inside, in units of the shape's radius."""

from collections.abc import Callable

import numpy as np

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.9


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.78) - 0.27


def _box(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
    dx, dy = np.abs(x) - width, np.abs(y) - height
    return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0)


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _box(x, y, 0.78, 0.78)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_box(x, y, 1.08, 0.33), _box(x, y, 0.33, 1.08))


def _polygon(corners: np.ndarray) -> Distance:
    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        nearest = np.full(x.shape, np.inf, np.float32)
        inside = np.zeros(x.shape, bool)
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0)):
            ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
            along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
            nearest = np.minimum(nearest, (px - along * ex) ** 2 + (py - along * ey) ** 2)
            # Even-odd rule: count the edges that a ray to the right crosses.
            inside ^= ((ay > y) != (by > y)) & (px * ey * np.sign(ey) < py * ex * np.sign(ey))
        return np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)

    return distance


def _corners(count: int, *radii: float) -> np.ndarray:
    """The first corner points up; y grows downwards, as in pictures."""
    angles = 2 * np.pi * np.arange(count) / count
    return (np.stack([np.sin(angles), -np.cos(angles)], 1) * np.resize(radii, count)[:, None]).astype(np.float32)


# The radii are chosen so that equal radius means roughly equal visible area: no class wins by its size alone.
SHAPES: dict[str, Distance] = {
    'cross': _cross,
    'disc': _disc,
    'ring': _ring,
    'square': _square,
    'star': _polygon(_corners(10, 1.2, 0.55)),
    'triangle': _polygon(_corners(3, 1.2)),
}
