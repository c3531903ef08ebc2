"""Validation of heads on frozen features."""

from mmengine.runner import ValLoop

from ..registry import LOOPS
from .accuracy import ProbeAccuracy
from .history import PassHistory
from .probes.attentive import AttentiveProbe
from .replica import frozen_probes


@LOOPS.register_module()
class ProbeValLoop(ValLoop):
    """Hands history and heads to the metric: some scores need whole groups of images, whichever processes saw them.

    Attributes:
        history: of the pass; the training loop hands it over.
    """

    history: PassHistory

    def run(self) -> dict:
        probes = frozen_probes(self.runner.model).heads
        for metric in self.evaluator.metrics:
            if isinstance(metric, ProbeAccuracy):
                metric.history = self.history
                metric.heads = {name: head for name, head in probes.items() if isinstance(head, AttentiveProbe)}
        return super().run()
