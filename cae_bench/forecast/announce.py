"""What --dry-run says: every task, what shares a pass, each recipe constant by constant, and its cost."""

from collections.abc import Sequence

from mmengine.config import Config

from ..datasets.data_info import NOT_GIVEN
from ..distributed.launchers import world_size
from ..logs import say
from ..runs.find import borrowed
from ..runs.job import Job
from ..runs.options import Options
from . import probing_cost, training_cost


def announce(passes: Sequence[tuple[list[Job], Config]], options: Options) -> None:
    """Says what would run.

    Args:
        passes: jobs that share a pass over the data, and the config they run as; in order.
        options: of the command.
    """
    ckpt = passes[0][0][0].checkpoint
    say(f'{ckpt.name}: {ckpt.spec.family} {ckpt.spec.arch}, {ckpt.report.format}')
    for jobs, cfg in passes:
        header = jobs[0].header
        for job in jobs:
            say(_title(job) + (', shares its pass over the data' if len(jobs) > 1 else ''))
        for line in (borrowed(cfg, header, ckpt.spec), *header.remarks, *_cost(jobs[0], cfg, options)):
            if line:
                say(f'    {line}')


def _cost(job: Job, cfg: Config, options: Options) -> list[str]:
    num_train, num_val = (min(n, options.limit or n) for n in (job.data.num_trained, job.data.num_val))
    devices = world_size(options.launcher)
    if options.eval_only:
        return training_cost.evaluation(cfg, num_val)
    if job.header.frozen:
        return probing_cost.plan(cfg, num_train, num_val, devices)
    return training_cost.plan(cfg, job.header, num_train, num_val, devices)


def _title(job: Job) -> str:
    header, data = job.header, job.data
    known = f'fingerprint {job.fingerprint[:8]}'
    if data.root == NOT_GIVEN:
        known = f'official counts: --data {data.name}=DIR was not given'
    objects = '' if data.num_trained == data.num_train else f' ({data.num_trained:,} train: those with objects)'
    return (
        f'{job.task}: {header.config} version {header.version}, {data.num_train:,} + {data.num_val:,} images{objects}, '
        f'{len(data.classes)} classes, {known}'
    )
