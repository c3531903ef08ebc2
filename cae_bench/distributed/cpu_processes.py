"""Several processes without GPUs: mmengine's own start-up asks CUDA for a device, whatever the backend."""

import os
import subprocess
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from mmengine.dist import broadcast_object_list, init_dist, is_distributed, is_main_process
from mmengine.utils.dl_utils import set_multi_processing
from torch import distributed

from .launchers import LAUNCHERS

Answer = TypeVar('Answer')


def join(launcher: str) -> dict:
    """Joins the processes of `torchrun` or `slurm` with gloo, and returns what a Runner's config needs for it.

    Does nothing, and returns nothing, where one process runs alone or where there are GPUs: mmengine does that itself.
    """
    if launcher == 'none' or torch.cuda.is_available():
        return {}
    if launcher == 'slurm':
        _take_from_slurm()
    if not distributed.is_initialized():
        distributed.init_process_group('gloo')
    # mmengine would take device_ids from LOCAL_RANK.
    return dict(
        model_wrapper_cfg=dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False, find_unused_parameters=False
        )
    )


def meet(launcher: str) -> None:
    """Joins the processes of a launch, on GPUs too, before a Runner does: what they do next is for all to agree on."""
    join(launcher)
    if launcher != 'none' and not is_distributed():
        set_multi_processing(distributed=True)
        init_dist(LAUNCHERS[launcher])


def agree(ask: Callable[[], Answer]) -> Answer:
    """What `ask()` returns in the first process, in every process."""
    answers: list[Answer | None] = [ask() if is_main_process() else None]
    broadcast_object_list(answers)
    return cast(Answer, answers[0])  # None was replaced by the first process's answer


def _take_from_slurm() -> None:
    """The variables torchrun would have set, from those of srun."""
    nodes = subprocess.run(
        ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']], capture_output=True, text=True, check=True
    )
    variables = dict(
        RANK=os.environ['SLURM_PROCID'],
        WORLD_SIZE=os.environ['SLURM_NTASKS'],
        LOCAL_RANK=os.environ['SLURM_LOCALID'],
        MASTER_ADDR=nodes.stdout.split()[0],
        MASTER_PORT=str(29500 + int(os.environ['SLURM_JOB_ID']) % 10000),
    )
    for name, value in variables.items():
        os.environ.setdefault(name, value)
