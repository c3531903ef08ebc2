"""The tour: task + checkpoint -> job -> Runner -> record. Read this file first.

A run resolves every task (whatever is wrong with the input is found here, before anything is computed), leaves out what
already has a record, works group by group, and writes each record the moment its task is finished. What must precede
torch happens in commands/run.py.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from . import checkpoints, stopping
from .checkpoints import Checkpoint
from .datasets.resolve import data_of
from .distributed import cpu_processes
from .forecast.announce import announce
from .logs import prints_go_to, say
from .probing.shared_pass import join, passes, share_views
from .results import check_writable, distinct_name, find, fingerprint, write_record
from .runs import eval_only, global_batch, precision
from .runs.failures import named_in
from .runs.find import borrowed, find_config, read_header
from .runs.fingerprint import scoring_parts
from .runs.header import Header
from .runs.job import Job
from .runs.make_record import check_recordable, headline, make_record
from .runs.options import Options
from .runs.outcome import Outcome
from .runs.overrides import check_options
from .runs.probe_settings import trains_heads
from .runs.provenance import measured_by_others
from .runs.recipe import build
from .runs.work_lock import work_lock
from .tasks import Task
from .training.runner import QuietRunner, closes_log_files


def run(
    checkpoint: str,
    tasks: list[Task],
    data: dict[str, str],
    results: Path,
    options: Options,
    name: str | None = None,
    arch: str | None = None,
    num_heads: int | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Evaluates a checkpoint; arguments and errors as of `cae_bench.run`, which users call."""
    checkpoints.guard_mmengine()
    ckpt = checkpoints.load(checkpoint, num_heads=num_heads, arch=arch)
    jobs, model = resolve(tasks, ckpt, data, options, may_lack_data=dry_run), name or ckpt.name
    for job in jobs:
        check_recordable(job, model, options)
    if dry_run:
        announce([(group, _config_of(group, options)) for group in groups(jobs)], options)
        return Outcome()
    for job in jobs:
        precision.check_device(job.header, options.amp)
    check_writable(results)
    return _execute(jobs, model, results, options)


def resolve(
    tasks: list[Task], ckpt: Checkpoint, data: dict[str, str], options: Options, may_lack_data: bool = False
) -> list[Job]:
    """A job of every task; raises CaeBenchError for the first that cannot run.

    may_lack_data: official data sets without a folder are taken as released; such jobs cannot run.
    """
    jobs: list[Job] = []
    described = {}
    for task in tasks:
        layout = read_header(find_config(task.protocol, ckpt.spec, options.recipe)).layout
        if (task.dataset, layout) not in described:
            described[task.dataset, layout] = data_of(task, layout, data, may_lack_data)
        info = described[task.dataset, layout]
        cfg = build(task, ckpt, info, options)
        header = Header.of(cfg)
        global_batch.check_enough(cfg, header, min(info.num_trained, options.limit or info.num_trained))
        parts = scoring_parts(cfg, ckpt, info, options)
        if options.share_views and trains_heads(cfg):  # whose crop is read depends on who comes first
            sharing = [j.task.protocol for j in jobs if j.task.dataset == task.dataset and trains_heads(j.cfg)]
            parts['crop of'] = [*sharing, task.protocol][0]
        jobs.append(Job(task, cfg, header, info, ckpt, fingerprint(parts)))
    check_options([job.cfg for job in jobs], options)
    return jobs


def groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Frozen protocols on one data set share one pass over it where their recipes allow; any other task is a group."""
    together: dict[str | Task, list[Job]] = {}
    for job in jobs:
        together.setdefault(job.task.dataset if job.header.frozen else job.task, []).append(job)
    return [
        [sharing[i] for i in positions]
        for sharing in together.values()
        for positions in passes([job.cfg for job in sharing])
    ]


def _execute(jobs: list[Job], model: str, results: Path, options: Options) -> Outcome:
    outcome = Outcome()
    waiting = groups(_without_record(jobs, outcome, model, results, options))
    while waiting:
        group = waiting.pop(0)
        title, work_dir = ' + '.join(str(job.task) for job in group), work_dir_of(group, model, results, options.seed)
        with named_in(outcome, title), closes_log_files(), work_lock(work_dir, title, options.launcher) as had_to_wait:
            left = _without_record(group, outcome, model, results, options) if had_to_wait else group
            if len(left) < len(group):  # the other run has done these
                waiting[:0] = groups(left)
                continue
            _run_group(group, title, work_dir, outcome, model, results, options)
    return outcome


def _without_record(jobs: list[Job], outcome: Outcome, model: str, results: Path, options: Options) -> list[Job]:
    """The jobs that are still to be done; records of the others go into the outcome."""
    if options.overwrite:
        return jobs
    old = cpu_processes.agree(lambda: [find(results, job.fingerprint, options.seed, model) for job in jobs])
    for job, record in zip(jobs, old):
        if record:
            say(f'{job.task}: already done ({headline(record)}){measured_by_others(record)}, {record.path}')
            outcome.records.append(record)
    return [job for job, record in zip(jobs, old) if not record]


def work_dir_of(group: list[Job], model: str, results: Path, seed: int) -> Path:
    """Where checkpoints and logs of a group lie: a folder of its own for whatever can move a score."""
    protocols = '+'.join(job.task.protocol for job in group)
    mark = fingerprint({'group': [job.fingerprint for job in group]})[:8]
    return results / 'work_dirs' / distinct_name(model) / group[0].task.dataset / f'{protocols}-{mark}-seed{seed}'


def _run_group(
    group: list[Job], title: str, work_dir: Path, outcome: Outcome, model: str, results: Path, options: Options
) -> None:
    """Trains and validates one group, and writes the record of each of its tasks."""
    started, clock = datetime.now(UTC), time.monotonic()
    cfg, header, ckpt = _config_of(group, options), group[0].header, group[0].checkpoint
    _prepare(cfg, group, title, work_dir, model, options)
    say(f'{title}: starts, log in {cfg.work_dir}')
    for line in (borrowed(cfg, header, ckpt.spec), header.batch, *header.remarks):
        if line:
            say(f'{title}: {line}')
    with prints_go_to(work_dir / 'printed.log'), stopping.at_safe_points():
        runner = QuietRunner.from_cfg(cfg)
        if options.eval_only:
            ckpt = eval_only.evaluate(runner, ckpt)
        else:
            with global_batch.memory_advice(cfg, header):
                runner.train()
        seconds = time.monotonic() - clock
    for job in group:  # a protocol that diverged must not cost those beside it
        with named_in(outcome, str(job.task)):
            scored = replace(job, checkpoint=ckpt)
            record, per_image = make_record(scored, runner, model, options, started, seconds, results)
            if is_main_process():
                path = write_record(results, record, per_image)
                say(f'{record.task}: {headline(record)}, {record.wall_time_s / 60:.1f} min, record {path}')
                if pictures := record.extra.get('pictures'):
                    say(f'{record.task}: {len(pictures)} pictures in {(results / pictures[0]).parent}')
            outcome.records.append(record)


def _config_of(group: list[Job], options: Options) -> Config:
    """The config of the only task, or of the pass that several frozen protocols share."""
    cfg = join([job.cfg for job in group]) if len(group) > 1 else group[0].cfg
    return share_views(cfg) if options.share_views and group[0].header.frozen else cfg


def _prepare(cfg: Config, group: list[Job], title: str, work_dir: Path, model: str, options: Options) -> None:
    """Work folder, name, hooks and processes of a run; in place."""
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{model}-{group[0].task.dataset}-{"+".join(job.task.protocol for job in group)}'
    own = [dict(type='cae_bench.KeepSpec'), dict(type='cae_bench.Progress', task=title)]
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), *own]
    for key, value in cpu_processes.join(options.launcher).items():
        if key not in cfg:
            cfg[key] = value
    cfg.resume = options.resume and not options.overwrite and not options.eval_only
