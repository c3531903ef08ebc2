"""The corridor: task + checkpoint -> config -> Runner -> Record. Read this file first: it is the tour.

A run plans every task (whatever is wrong with the input is found here, before anything is computed), leaves out what
already has a record, works group by group, and writes each record the moment its task is finished.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from . import stopping
from .errors import CaeBenchError, ConfigError
from .logs import prints_go_to, say
from .tasks import Task, parse_all


@dataclass(frozen=True)
class Job:
    """One task, ready to run."""

    task: Task
    cfg: object  # the resolved mmengine Config
    data: object  # datasets.describe.DataInfo
    fingerprint: str


@dataclass
class Outcome:
    """Records of all tasks asked for, old and new, and what went wrong with the others.

    refused: those of the failures that the user's input or settings are the reason of.
    """

    records: list = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    @property
    def exit_code(self) -> int:
        """2 where nothing came out, for bad input alone; 1 for any other failure."""
        bad_input_only = not self.records and self.refused == set(self.failures)
        return (2 if bad_input_only else 1) if self.failures else 0


def run(
    checkpoint: str,
    tasks: list[str] | None = None,
    suite: str | None = None,
    data: dict[str, str] | None = None,
    results: str | Path = 'results',
    name: str | None = None,
    arch: str | None = None,
    num_heads: int | None = None,
    dry_run: bool = False,
    **options,
) -> Outcome:
    """Evaluates a checkpoint: one record for each task under `<results>/measured`, written as soon as it is known.

    Args:
        checkpoint: a file, `timm:NAME`, `random:vit-tiny` (any arch name) or `random:like:FILE`, its architecture.
        tasks: `<dataset>/<protocol>`, in order. Without tasks, those of `suite` (default: cae_paper).
        data: folder of each data set by name.
        name: the model's name in tables; default: the name of the file, or of its folder (Checkpoint.name).
        dry_run: plan and say what would run, compute nothing.
        options: the fields of `recipes.Options`: recipe, seed, device, amp, limit, overwrite, ...

    Raises:
        CaeBenchError: wrong use or bad input, before anything is computed. A task that fails while it runs does not
            stop the others: it is named in `Outcome.failures`.
    """
    from .results import check_writable, load_suite

    wanted = parse_all(
        tasks or load_suite(suite or 'cae_paper').tasks
    )  # a typing error is told before torch is imported
    _choose_device(options.get('device'))
    from . import checkpoints
    from .runs.make_record import check_recordable
    from .runs.recipe import Options, check_precision

    options = Options(**options)
    checkpoints.guard_mmengine()
    ckpt = checkpoints.load(checkpoint, num_heads=num_heads, arch=arch)
    jobs, model = plan(wanted, ckpt, data or {}, options, may_lack_data=dry_run), name or ckpt.name
    for job in jobs:
        check_recordable(job, ckpt, model, options)
    if dry_run:
        from .forecast.announce import announce

        announce([(group, _one_config(group, options)) for group in groups(jobs)], ckpt, options)
        return Outcome()
    for job in jobs:
        check_precision(job.cfg, options.amp)
    check_writable(results)
    return _execute(jobs, ckpt, model, Path(results), options)


def plan(wanted: list[Task], ckpt, data: dict[str, str], options, may_lack_data: bool = False) -> list[Job]:
    """Resolves every task; raises for the first that cannot run as asked.

    may_lack_data: official data sets without a folder are taken as released; such jobs cannot run.
    """
    from .datasets.resolve import data_of
    from .results import fingerprint
    from .runs import global_batch as effective_batch
    from .runs import recipe as recipes

    jobs, described = [], {}
    for task in wanted:
        layout = recipes.header(recipes.find(task.protocol, ckpt.spec, options.recipe)).layout
        if (task.dataset, layout) not in described:
            described[task.dataset, layout] = data_of(task, layout, data, may_lack_data)
        info = described[task.dataset, layout]
        cfg = recipes.build(task, ckpt, info, options)
        effective_batch.check_enough(cfg, min(info.num_trained, options.limit or info.num_trained))
        parts = recipes.scoring_parts(cfg, ckpt, info, options)
        if options.share_views and recipes.trains_heads(cfg):  # whose crop is read depends on who comes first
            parts['crop of'] = next(
                (j.task.protocol for j in jobs if j.task.dataset == task.dataset and recipes.trains_heads(j.cfg)),
                task.protocol,
            )
        jobs.append(Job(task, cfg, info, fingerprint(parts)))
    recipes.check_options([job.cfg for job in jobs], options)
    return jobs


def groups(jobs: list[Job]) -> list[list[Job]]:
    """Frozen protocols on one data set share one pass over it where their recipes allow; any other task is a group."""
    from .probing.shared_pass import passes

    together = {}
    for job in jobs:
        together.setdefault(job.task.dataset if job.cfg.benchmark.frozen else job.task, []).append(job)
    return [[shared[i] for i in group] for shared in together.values() for group in passes([j.cfg for j in shared])]


def _execute(jobs: list[Job], ckpt, model: str, results: Path, options) -> Outcome:
    from mmengine.dist import is_main_process

    from .results import write_record
    from .runs.work_lock import work_lock
    from .training.runner import closes_log_files

    outcome = Outcome()
    waiting = groups(_without_record(jobs, outcome, model, results, options))
    while waiting:
        group = waiting.pop(0)
        title = ' + '.join(str(job.task) for job in group)
        work_dir = _work_dir(group, model, results, options.seed)
        with _failures(outcome, title), closes_log_files(), work_lock(work_dir, title, options.launcher) as had_to_wait:
            left = _without_record(group, outcome, model, results, options) if had_to_wait else group
            if len(left) < len(group):  # the other run has done these
                waiting[:0] = groups(left)
                continue
            record_of = _run_group(group, title, work_dir, ckpt, model, results, options)
            for job in group:  # a protocol that diverged must not cost those beside it
                with _failures(outcome, str(job.task)):
                    record, per_image = record_of(job)
                    if is_main_process():
                        path = write_record(results, record, per_image)
                        say(f'{record.task}: {_headline(record)}, {record.wall_time_s / 60:.1f} min, record {path}')
                        if pictures := record.extra.get('pictures'):
                            say(f'{record.task}: {len(pictures)} pictures in {(results / pictures[0]).parent}')
                    outcome.records.append(record)
    return outcome


def _without_record(jobs: list[Job], outcome: Outcome, model: str, results: Path, options) -> list[Job]:
    """The jobs that are still to be done; records of the others go into the outcome."""
    from .distributed.cpu_processes import agree
    from .results import find
    from .runs.provenance import measured_by_others

    if options.overwrite:
        return jobs
    old = agree(lambda: [find(results, job.fingerprint, options.seed, model) for job in jobs])
    for job, record in zip(jobs, old):
        if record:
            say(f'{job.task}: already done ({_headline(record)}){measured_by_others(record)}, {record.path}')
            outcome.records.append(record)
    return [job for job, record in zip(jobs, old) if not record]


def _work_dir(group: list[Job], model: str, results: Path, seed: int) -> Path:
    from .results import fingerprint, safe_name

    folder, mark = '+'.join(job.task.protocol for job in group), fingerprint({'group': [j.fingerprint for j in group]})
    return results / 'work_dirs' / safe_name(model) / group[0].task.dataset / f'{folder}-{mark[:8]}-seed{seed}'


@contextlib.contextmanager
def _failures(outcome: Outcome, title: str):
    """Names an error in the outcome and goes on: one task's failure must not cost the others.

    Where it meets one of several processes, the others wait for that one: then it ends them, through their launcher.
    """
    from .distributed.failing_together import all_failed

    try:
        yield
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        if os.environ.get('CAE_BENCH_DEBUG'):
            raise
        outcome.failures[title] = str(error)
        if isinstance(error, CaeBenchError):
            outcome.refused.add(title)
        say(f'{title}: failed, {_one_line(error)}')
        if not all_failed():
            raise RuntimeError(
                f'{title}: failed in one of the processes, {_one_line(error)} The launch ends here; the '
                'same command goes on with what is left.'
            ) from error


def _run_group(
    group: list[Job], title: str, work_dir: Path, ckpt, model: str, results: Path, options
) -> Callable[[Job], tuple]:
    """Trains and validates one group; returns what makes (Record, per-image columns) of each of its tasks."""
    from .distributed import cpu_processes
    from .runs.eval_only import evaluate
    from .runs.global_batch import told_if_too_large
    from .runs.make_record import make_record
    from .runs.pretraining_length import lines
    from .runs.recipe import borrowed
    from .training.runner import QuietRunner

    started, clock = datetime.now(UTC), time.monotonic()
    cfg = _one_config(group, options)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{model}-{group[0].task.dataset}-{"+".join(job.task.protocol for job in group)}'
    cfg.custom_hooks = [
        *cfg.get('custom_hooks', []),
        dict(type='cae_bench.KeepSpec'),
        dict(type='cae_bench.Progress', task=title),
    ]
    for key, value in cpu_processes.join(options.launcher).items():
        if key not in cfg:
            cfg[key] = value
    cfg.resume = options.resume and not options.overwrite and not options.eval_only
    say(f'{title}: starts, log in {cfg.work_dir}')
    for line in (borrowed(cfg, ckpt.spec), *lines(cfg), cfg.benchmark.get('batch'), cfg.benchmark.get('input_size')):
        if line:
            say(f'{title}: {line}')
    with prints_go_to(Path(cfg.work_dir, 'printed.log')), stopping.at_safe_points():
        runner = QuietRunner.from_cfg(cfg)
        if options.eval_only:
            ckpt = evaluate(runner, ckpt)
        else:
            with told_if_too_large(cfg):
                runner.train()
        seconds = time.monotonic() - clock
    return lambda job: make_record(job, runner, ckpt, model, options, started, seconds, results)


def _one_config(group: list[Job], options):
    """The config of the only task, or of the pass that several frozen protocols share."""
    from .probing.shared_pass import join, share_views

    cfg = join([job.cfg for job in group]) if len(group) > 1 else group[0].cfg
    return share_views(cfg) if options.share_views and cfg.benchmark.frozen else cfg


def _choose_device(device: str | None) -> None:
    """Hides the accelerators for --device cpu; must happen before torch looks for them."""
    if device == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    elif device == 'cuda':
        import torch

        if not torch.cuda.is_available():
            raise ConfigError(
                '--device cuda: no CUDA device is visible here. See cae-bench doctor, or use --device cpu.'
            )
    elif device is not None:
        raise ConfigError(f'--device {device}: choose cpu or cuda')


def _interrupted(error: BaseException | None) -> bool:
    """Some packages catch Ctrl-C with everything else and raise an error of their own in its place."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _headline(record) -> str:
    return ', '.join(f'{name} {metric.value:.1f}' for name, metric in list(record.metrics.items())[:2])


def _one_line(error: Exception) -> str:
    """A user's error as it is; torch wraps those of loader workers into a traceback, of which the last line counts."""
    if isinstance(error, CaeBenchError):
        return str(error).rpartition(f'{type(error).__name__}: ')[2].strip()
    told = str(error).strip()
    told = told.splitlines()[-1] if 'Original Traceback' in told else f'{type(error).__name__}: {told}'
    return ' '.join(told.split())[:500]
