"""A job: a task resolved and ready to run."""

from dataclasses import dataclass

from mmengine.config import Config

from ..checkpoints import Checkpoint
from ..datasets.data_info import DataInfo
from ..tasks import Task
from .header import Header


@dataclass(frozen=True)
class Job:
    """One task with everything that its run and its record need."""

    task: Task
    cfg: Config  # resolved: nothing is left to defaults
    header: Header  # of that config
    data: DataInfo
    checkpoint: Checkpoint
    fingerprint: str  # of all that can move the score, the seed excepted
