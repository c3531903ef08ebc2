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
    findings = _Findings(runner, job.task.protocol, job.header.frozen)
    metrics = {}
    for name, kind in job.header.metrics.items():
        if not findings.knows(name):  # AP of large objects where the data has none
            continue
        value, ci95 = findings.score(name)
        if not math.isfinite(value):
            raise RuntimeError(f'{name} is {value}: the training diverged. Try a smaller learning rate or --amp fp32.')
        metrics[name] = Metric(value=value, ci95=ci95, unit=kind.unit, higher_is_better=kind.higher_is_better)
    if not metrics:
        names = ', '.join(job.header.metrics)
        raise RuntimeError(f'none of {names} was measured: is the validation split empty?')
    record = replace(
        _draft(job, model, options),
        metrics=metrics,
        selection=findings.about('selection'),
        wall_time_s=round(seconds, 2),
        peak_memory_mb=round(provenance.peak_memory_mb(), 1),
        hardware=provenance.hardware(),
        packages=provenance.packages(),
        git=provenance.git_state(),
        started=started.isoformat(timespec='seconds'),
        extra=findings.extra(results) | _covers(job.data) | resumed(runner),
    )
    return record, findings.about('per_image')


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


class _Findings:
    """What the metrics of a finished Runner know of one protocol.

    Args:
        shares_pass: metrics keep one entry for each protocol, and name scores after it ('linear/top1'), as those on
            frozen features do, also where a protocol runs alone.
    """

    def __init__(self, runner: Runner, protocol: str, shares_pass: bool):
        self.protocol, self.shares_pass = protocol, shares_pass
        self.history = [dict(validation['scores']) for validation in validations(runner)]
        if not self.history:  # resumed after its last iteration: only the scores are missing
            self.history.append(runner.val_loop.run())
        self.metrics = runner.val_evaluator.metrics
        self.pictures = [path for hook in runner.hooks for path in getattr(hook, 'pictures', ())]

    def knows(self, name: str) -> bool:
        return self._full(name) in self.history[-1]

    def _full(self, name: str) -> str:
        """`linear/top1` in a shared pass, `mIoU` in a run of its own."""
        return f'{self.protocol}/{name}' if self.shares_pass else name

    def score(self, name: str) -> tuple[float, tuple | None]:
        """(value, ci95) of a metric.

        Few images: draws leave rare classes out of a mean over classes, and all may lie on one side of the value. The
        interval is widened to hold it.
        """
        full = self._full(name)
        intervals = {k: v for metric in self.metrics for k, v in getattr(metric, 'ci95', {}).items()}
        value, ci95 = float(self.history[-1][full]), intervals.get(full)
        return value, ci95 and (min(ci95[0], value), max(ci95[1], value))

    def about(self, attribute: str):
        """The first metric's non-empty `attribute`, this protocol's part of it where protocols share a pass."""
        for metric in self.metrics:
            value = getattr(metric, attribute, None)
            if value and self.protocol in value:
                return value[self.protocol]
            if value and not self.shares_pass:
                return value
        return None

    def extra(self, results: Path) -> dict:
        """Scores of every validation, per-class scores, pictures, and whatever else a metric tells of itself."""
        found: dict[str, Any] = {name: known(self.about(name)) for name in ('per_class', 'details')}
        found['pictures'] = [os.path.relpath(path, results) for path in self.pictures]
        return {'history': self._own_history()} | {name: value for name, value in found.items() if value}

    def _own_history(self) -> list[dict[str, Any]]:
        """Less what others of a shared pass scored: theirs need not even be numbers."""
        if not self.shares_pass:
            return self.history
        return [{k: v for k, v in scores.items() if k.startswith(f'{self.protocol}/')} for scores in self.history]


def known(value):
    """None for a score that is no number, as of a class that no image shows; dictionaries part by part."""
    if isinstance(value, dict):
        return {name: known(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
