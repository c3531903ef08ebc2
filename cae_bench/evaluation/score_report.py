"""What a metric hands to the record of a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.evaluator import BaseMetric

from ..statistics.per_image import PerImage

Interval = tuple[float, float]


@dataclass(frozen=True)
class ScoreReport:
    """Scores of one task in its last validation, and what stands beside them in the record."""

    values: dict[str, float]  # metric -> score, in the unit that the config's header names; mostly percent
    ci95: dict[str, Interval] = field(default_factory=dict)  # metric -> 95 % interval, for those that have one
    per_image: PerImage | None = None  # what each image showed, for paired tests
    per_class: dict[str, Any] | None = None  # class -> score in percent, or kind of detection -> class -> score
    selection: dict[str, Any] | None = None  # hyper-parameters that were selected, how, and among which
    details: dict[str, Any] | None = None  # what a metric has to add: kinds of errors, the best epoch

    def interval(self, metric: str) -> Interval | None:
        """`ci95` of a metric, widened to hold its value.

        Few images: draws leave rare classes out of a mean over classes, and all may lie on one side of the value.
        """
        if metric not in self.ci95:
            return None
        low, high = self.ci95[metric]
        return min(low, self.values[metric]), max(high, self.values[metric])


class ReportingMetric(BaseMetric):
    """A metric that leaves a ScoreReport behind.

    Attributes:
        report: after `evaluate()`, on the main process; scores alone reach the others.
    """

    report: ScoreReport | None = None

    def report_of(self, protocol: str) -> ScoreReport | None:
        """The report of one of the protocols that are validated together; here there is one alone."""
        return self.report


def class_names(metric: BaseMetric) -> tuple[str, ...]:
    """The classes of the data set that a metric evaluates; the evaluator has handed them over."""
    assert metric.dataset_meta is not None, 'an evaluator sets dataset_meta before its metrics see a sample'
    return tuple(metric.dataset_meta['classes'])


def name_in_pass(protocol: str, metric: str) -> str:
    """The name under which a score of one of several protocols is logged."""
    return f'{protocol}/{metric}'


def scores_of(protocol: str, validations: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """The scores of each validation that are this protocol's, under their logged names; all if it was alone."""
    start = name_in_pass(protocol, '')
    own = [{name: score for name, score in scores.items() if name.startswith(start)} for scores in validations]
    return own if any(own) else [dict(scores) for scores in validations]


def report_of(metrics: Iterable[BaseMetric], protocol: str, scores: Mapping[str, float]) -> ScoreReport:
    """What the first metric that knows this protocol reports, else the bare scores.

    Args:
        scores: of the last validation. They are all that is known of another package's metric, and of any metric on a
            process that is not the main one.
    """
    for metric in metrics:
        if isinstance(metric, ReportingMetric) and (report := metric.report_of(protocol)):
            return report
    (own,) = scores_of(protocol, [scores])
    start = name_in_pass(protocol, '')
    return ScoreReport({name.removeprefix(start): score for name, score in own.items()})
