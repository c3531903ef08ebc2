"""Validation of heads on frozen features."""

from mmengine.runner import ValLoop

from ..registry import LOOPS


@LOOPS.register_module()
class ProbeValLoop(ValLoop):
    """Hands the heads to the metric: some scores need whole groups of images, whichever processes saw them."""

    def run(self) -> dict:
        model = getattr(self.runner.model, 'module', self.runner.model)
        for metric in self.evaluator.metrics:
            metric.heads = dict(model.probes.items())
        return super().run()
