"""From a finished Runner to a Record: scores, confidence, selection, and where it all comes from."""

import math
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

from ..datasets.data_info import DataInfo
from ..errors import ConfigError, RecordError
from ..evaluation.score_report import ScoreReport, report_of, scores_of
from ..models.backbones import load_report_of
from ..pictures.dense_predictions import DensePictures
from ..results import Dataset, Metric, Model, Record
from ..results.record import dumps
from ..training.progress import validations
from ..training.runner import resumed
from . import provenance
from .job import Job
from .options import Options
from .overrides import overrides_of


def make_record(
    job: Job, runner: Runner, model: str, options: Options, started: datetime, seconds: float, results: Path
) -> tuple[Record, dict[str, Any] | None]:
    """(Record, per-image columns or None) of one task of a finished run; paths in it start at the results folder.

    Args:
        job: with the checkpoint whose weights were scored, and a report of what became of each tensor.
        seconds: that the run took.

    Raises:
        RuntimeError: a score is not finite, or nothing was measured.
    """
    history = _validations(runner)
    report = report_of(runner.val_evaluator.metrics, job.task.protocol, history[-1])
    metrics = {}
    for name, kind in job.header.metrics.items():
        if name not in report.values:  # AP of large objects where the data has none
            continue
        value = report.values[name]
        if not math.isfinite(value):
            raise RuntimeError(f'{name} is {value}: the training diverged. Try a smaller learning rate or --amp fp32.')
        interval = report.interval(name)
        metrics[name] = Metric(value=value, ci95=interval, unit=kind.unit, higher_is_better=kind.higher_is_better)
    if not metrics:
        names = ', '.join(job.header.metrics)
        raise RuntimeError(f'none of {names} was measured: is the validation split empty?')
    extra = extra_of(report, scores_of(job.task.protocol, history), _pictures(runner), results)
    draft = _draft(job, model, options)
    load_report = job.checkpoint.report
    if filled := load_report_of(runner.model):
        load_report = load_report.with_fit(filled)
    record = replace(
        draft,
        model=replace(draft.model, load_report=load_report.to_dict()),
        metrics=metrics,
        selection=report.selection,
        wall_time_s=round(seconds, 2),
        peak_memory_mb=round(provenance.peak_memory_mb(), 1),
        hardware=provenance.hardware(),
        packages=provenance.packages(),
        git=provenance.git_state(),
        started=started.isoformat(timespec='seconds'),
        extra=extra | _covers(job.data) | resumed(runner),
    )
    return record, None if report.per_image is None else report.per_image.pack()


def headline(record: Record) -> str:
    """The first two scores, for a line of the log."""
    return ', '.join(f'{name} {metric.value:.1f}' for name, metric in list(record.metrics.items())[:2])


def check_recordable(job: Job, model: str, options: Options) -> None:
    """Raises ConfigError for names and settings that no record can hold, before anything is computed."""
    where = f'{job.task}: its record could not be written'
    try:
        text = dumps(_draft(job, model, options).to_dict(), where)
    except RecordError as error:
        what = str(error).partition(' Fix the code')[0].rpartition(': field ')[2]
        raise ConfigError(f'{where}: {what} Change that name or setting.') from None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text[text.rfind('\n', 0, error.start) + 1 : text.find('\n', error.start)].strip(' ,')
        line = line.encode('utf-8', 'backslashreplace').decode()
        raise ConfigError(f'{where}: {line} is no UTF-8 text. Rename that, or give another name.') from None


def _draft(job: Job, model: str, options: Options) -> Record:
    """What is known of a record before its run."""
    ckpt = job.checkpoint
    return Record(
        model=Model(
            name=model,
            family=ckpt.spec.family,
            arch=ckpt.spec.arch,
            sha256=ckpt.sha256,
            checkpoint=Path(ckpt.source).name if ckpt.sha256 else None,
            load_report=ckpt.report.to_dict() if ckpt.report else None,
        ),
        dataset=Dataset(
            name=job.task.dataset,
            num_train=job.data.num_train,
            num_val=job.data.num_val,
            content_hash=job.data.content_hash,
        ),
        protocol=job.task.protocol,
        protocol_version=job.header.version,
        recipe=options.recipe,
        config=job.cfg.to_dict(),
        overrides=overrides_of(job.cfg, options),
        limit=options.limit,
        precision=options.amp,
        fingerprint=job.fingerprint,
        seed=options.seed,
        command=provenance.command(),
        metrics={},
        wall_time_s=0.0,
        hardware={},
        packages={},
        git={'commit': None, 'dirty': None},
        started='2000-01-01T00:00:00Z',
    )


def _covers(data: DataInfo) -> dict[str, Any]:
    return {'content_hash_covers': data.hash_covers} if data.hash_covers else {}


def _validations(runner: Runner) -> list[dict[str, float]]:
    """The scores of every validation, in order, as they are logged."""
    history = [dict(validation['scores']) for validation in validations(runner)]
    if not history:  # resumed after its last iteration: only the scores are missing
        assert runner.val_loop is not None, 'every recipe validates'
        history.append(runner.val_loop.run())
    return history


def _pictures(runner: Runner) -> list[str]:
    """Paths of the pictures that were drawn in the last validation."""
    return [path for hook in runner.hooks if isinstance(hook, DensePictures) for path in hook.pictures]


def extra_of(report: ScoreReport, history: list[dict[str, float]], pictures: list[str], results: Path) -> dict:
    """Scores of every validation, per-class scores, details and pictures, as paths from the results folder."""
    found = dict(
        per_class=known(report.per_class),
        details=known(report.details),
        pictures=[os.path.relpath(path, results) for path in pictures],
    )
    return {'history': history} | {name: value for name, value in found.items() if value}


def known(value: Any) -> Any:
    """None for a score that is no number, as of a class that no image shows; dictionaries part by part."""
    if isinstance(value, dict):
        return {name: known(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
