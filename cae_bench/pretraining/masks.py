"""Which patches are hidden: rectangles (BEiT, CAE) or single patches (MAE). Pure functions of a random generator."""

import math
import random

import numpy as np

from ..errors import ConfigError
from ..registry import TRANSFORMS

TRIES = 10  # for one rectangle, before the loop starts again


class _Mask:
    """Calls give a bool array (rows * columns,), True = hidden, raster order.

    Args:
        grid: (rows, columns) of patches.
        num_masked: patches to hide.
    """

    def __init__(self, grid: tuple[int, int], num_masked: int):
        self.grid, self.num_masked = tuple(grid), num_masked
        patches = self.grid[0] * self.grid[1]
        if not 0 < num_masked < patches:
            raise ConfigError(
                f'num_masked={num_masked}: a grid of {self.grid[0]}x{self.grid[1]} has {patches} patches; hide 1 to '
                f'{patches - 1} of them'
            )

    def __call__(self, rng: random.Random) -> np.ndarray:
        raise NotImplementedError


@TRANSFORMS.register_module()
class RandomMask(_Mask):
    """Every patch is as likely as any other to be hidden (MAE)."""

    def __call__(self, rng: random.Random) -> np.ndarray:
        mask = np.zeros(self.grid[0] * self.grid[1], bool)
        mask[rng.sample(range(mask.size), self.num_masked)] = True
        return mask


@TRANSFORMS.register_module()
class BlockMask(_Mask):
    """Rectangles until exactly `num_masked` patches are hidden (CAE; Atten4Vis/CAE furnace/masking_generator.py).

    A rectangle's area is uniform from `min_block` to what is left to hide (or `max_block`), its log aspect uniform,
    its place uniform over all places, so the last row and column are as often hidden as the first. One that would
    hide nothing new, or too much, is drawn again.

    Args:
        exact: False stops at the first rectangle that fails ten times, so fewer patches may be hidden (BEiT).
    """

    def __init__(
        self,
        grid: tuple[int, int],
        num_masked: int,
        min_block: int = 16,
        max_block: int | None = None,
        min_aspect: float = 0.3,
        exact: bool = True,
    ):
        super().__init__(grid, num_masked)
        if not (min_block >= 1 and (max_block is None or max_block >= 1) and 0 < min_aspect <= 1):
            raise ConfigError(
                f'BlockMask: min_block={min_block}, max_block={max_block}, min_aspect={min_aspect}: blocks hold '
                'at least one patch, and the least aspect lies in (0, 1]'
            )
        if min(self.grid) < 2:
            raise ConfigError(f'BlockMask needs at least 2x2 patches, not {self.grid[0]}x{self.grid[1]}')
        self.min_block, self.max_block, self.exact = min_block, max_block or num_masked, exact
        self.log_aspect = math.log(min_aspect)
        smallest = min(min_block, num_masked, self.max_block)
        if not self._fits(smallest):  # such a mask would be drawn for ever
            raise ConfigError(
                f'BlockMask: no rectangle of {smallest} patches fits into {self.grid[0]}x{self.grid[1]} '
                f'with a margin; set a smaller mask.min_block (now {min_block})'
            )

    def _fits(self, area: float) -> bool:
        """Whether a rectangle of this area and an allowed aspect is smaller than the grid both ways."""
        aspects = (math.exp(self.log_aspect * step / 50) for step in range(-50, 51))
        return any(
            max(round(math.sqrt(area * a)) - self.grid[0], round(math.sqrt(area / a)) - self.grid[1]) < 0
            for a in aspects
        )

    def __call__(self, rng: random.Random) -> np.ndarray:
        return self.draw(rng)[0].ravel()

    def draw(self, rng: random.Random) -> tuple[np.ndarray, int]:
        """(mask (rows, columns), rectangles placed)."""
        mask, hidden, placed = np.zeros(self.grid, bool), 0, 0
        while hidden < self.num_masked:
            new = self._place(mask, self.num_masked - hidden, rng)
            hidden, placed = hidden + new, placed + bool(new)
            if not new and not self.exact:
                break
        return mask, placed

    def _place(self, mask: np.ndarray, left: int, rng: random.Random) -> int:
        """Hides one rectangle in place; returns how many patches are newly hidden, 0 after ten failures."""
        rows, columns = self.grid
        largest = min(left, self.max_block)
        for _ in range(TRIES):
            area = rng.uniform(self.min_block, largest)  # the ends may lie the other way round
            aspect = math.exp(rng.uniform(self.log_aspect, -self.log_aspect))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (height < rows and width < columns):
                continue
            top, start = rng.randint(0, rows - height), rng.randint(0, columns - width)
            block = mask[top : top + height, start : start + width]
            new = block.size - int(block.sum())
            if 0 < new <= left:
                block[:] = True
                return new
        return 0
