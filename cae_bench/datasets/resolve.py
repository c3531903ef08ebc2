"""The data of a task: its folder as the user gave it, described and looked at before anything runs on it."""

from ..errors import ConfigError, nearest
from ..logs import say
from ..tasks import Task
from .data_info import DataInfo
from .describe import describe, describe_released
from .layouts import find_layout, official_names


def data_of(task: Task, layout: str, folders: dict[str, str], may_lack: bool = False) -> DataInfo:
    """Describes a task's data, and prints what looks wrong with it and yet may be meant.

    Args:
        folders: folder of each data set by name.
        may_lack: take an official data set without a folder as it was released; such a task can be planned, not run.

    Raises:
        ConfigError: the data set has no folder.
        DataError: the folder cannot serve.
    """
    if may_lack and task.dataset in official_names() and task.dataset not in folders:
        return describe_released(task.dataset, layout)
    if task.dataset not in folders:
        raise ConfigError(
            f'{task}: no folder for data set {task.dataset!r}. Add --data {task.dataset}=DIR.'
            + (nearest(task.dataset, folders) if folders else '')
        )
    info = describe(task.dataset, folders[task.dataset], layout)
    for line in find_layout(layout).sample(info):
        say(line)
    return info
