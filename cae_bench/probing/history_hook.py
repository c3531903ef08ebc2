"""The history of a pass: where it starts, and how checkpoints keep it."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..errors import CheckpointError
from .history import KEY, PassHistory, ProbeHistory, Select, SharedSettings
from .model import FrozenProbes


class HistoryInCheckpoints(Hook):
    """Writes the history into each checkpoint, and reads that of the checkpoint a run goes on from.

    Attributes:
        history: what is written.
        loaded: what was read; None without a checkpoint, or where it holds none.
    """

    def __init__(self, history: PassHistory):
        self.history = history
        self.loaded: PassHistory | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = self.history.to_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        self.loaded = PassHistory.from_checkpoint(checkpoint)

    def resumed(self, folder: str) -> PassHistory:
        """`loaded`; raises CheckpointError where the interrupted run in this folder has left none."""
        if self.loaded is None:
            raise CheckpointError(
                f'the checkpoint in {folder} holds no scores of its probes, so the interrupted run cannot go on from it: '
                'start again with --no-resume.'
            )
        return self.loaded


def start_history(model: FrozenProbes) -> PassHistory:
    """An empty history for each probe."""
    histories = {}
    for name, probe in model.heads.items():
        plan = model.plans[name]
        settings = SharedSettings(
            feature=plan['feature'],
            view=plan.get('view', model.eval_view),
            pass_with=sorted(set(model.heads) - {name}),
            precision=model.precision,
            source=plan.get('source'),
            batch_size=plan.get('batch_size'),
            bn_group=plan.get('bn_group'),
        )
        histories[name] = ProbeHistory(probe.cells, Select(plan.get('select', Select.FIRST)), settings)
    return PassHistory(histories)
