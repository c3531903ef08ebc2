"""A row is a model, a cell one of its numbers with where it comes from."""

from dataclasses import dataclass, field

from .columns import Column


@dataclass(frozen=True, kw_only=True)
class Cell:
    value: float
    unit: str = '%'
    n: int = 1  # runs the value is the mean of
    std: float | None = None  # over those runs, where they differ
    agree: bool = False  # several runs, one score: deterministic
    ci95: tuple[float, float] | None = None  # of one run, over the validation images; None where there is std
    secondary: bool = False  # quoted by another text; the original was not read
    source: int | None = None  # citation number
    setting: str | None = None  # how the run departs from its recipe
    mark: str = ''  # the footnote letter of that setting
    evidence: tuple[str, ...] = ()  # ids of published numbers, paths of records
    others: tuple[tuple[float, int], ...] = ()  # (value, citation) published for the same cell elsewhere
    code: str | None = None  # what scored which seed, where that was not one code
    otherwise: tuple[tuple[str, float], ...] = ()  # (how selected, value) of the same runs, selected another way

    @property
    def spread(self) -> float | None:
        """The number after ±: standard deviation over runs that differ, or half the 95 % interval of one."""
        if self.std is not None:
            return self.std
        return (self.ci95[1] - self.ci95[0]) / 2 if self.ci95 else None


@dataclass(frozen=True, kw_only=True)
class Row:
    model: str
    arch: str | None
    epochs: int | None
    source: str  # 'measured', or citation numbers: '[1]'
    measured: bool
    cells: dict[Column, Cell] = field(default_factory=dict)
