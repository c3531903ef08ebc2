"""What --dry-run says: every task, what shares a pass, each recipe constant by constant, and its cost."""

from ..datasets.data_info import NOT_GIVEN
from ..distributed.launchers import world_size
from ..logs import say
from ..runs.pretraining_length import lines
from ..runs.recipe import borrowed
from . import probing_cost as frozen_plan
from . import training_cost as training_plan


def announce(passes: list[tuple[list, object]], ckpt, options) -> None:
    """passes: (jobs, the config they run as), in order."""
    devices = world_size(options.launcher)
    say(f'{ckpt.name}: {ckpt.spec.family} {ckpt.spec.arch}, {ckpt.report.format}')
    for jobs, cfg in passes:
        for job in jobs:
            say(_title(job) + (', shares its pass over the data' if len(jobs) > 1 else ''))
        counts = [min(n, options.limit or n) for n in (jobs[0].data.num_trained, jobs[0].data.num_val)]
        plan = frozen_plan.plan if cfg.benchmark.frozen else training_plan.plan
        plan = training_plan.evaluation if options.eval_only else plan
        for line in filter(None, (borrowed(cfg, ckpt.spec), *lines(cfg), cfg.benchmark.get('input_size'))):
            say(f'    {line}')
        for line in plan(cfg, *counts, world_size=devices):
            say(f'    {line}')


def _title(job) -> str:
    header, data = job.cfg.benchmark, job.data
    known = f'fingerprint {job.fingerprint[:8]}'
    if data.root == NOT_GIVEN:
        known = f'official counts: --data {data.name}=DIR was not given'
    objects = '' if data.num_trained == data.num_train else f' ({data.num_trained:,} train: those with objects)'
    return (
        f'{job.task}: {header.config} version {header.version}, {data.num_train:,} + {data.num_val:,} images{objects}, '
        f'{len(data.classes)} classes, {known}'
    )
