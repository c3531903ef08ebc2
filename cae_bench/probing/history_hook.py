"""The history of a pass in its checkpoints."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from .history import KEY, PassHistory


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
