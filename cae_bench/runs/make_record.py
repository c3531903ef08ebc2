"""From a finished Runner to a Record: scores, confidence, selection, and where it all comes from."""

import math
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..errors import ConfigError, RecordError
from ..results import Dataset, Metric, Model, Record
from ..results.record import dumps
from ..training.runner import resumed
from . import provenance
from .recipe import overrides_of


def make_record(job, runner, ckpt, model: str, options, started: datetime, seconds: float, results: Path) -> tuple:
    """(Record, per-image columns or None) of one task of a finished run; paths in it start at the results folder."""
    said = _Findings(runner, job.task.protocol)
    metrics = {}
    for name, kind in job.cfg.benchmark.metrics.items():
        if not said.knows(name):  # AP of large objects where the data has none
            continue
        value, ci95 = said.score(name)
        if not math.isfinite(value):
            raise RuntimeError(f'{name} is {value}: the training diverged. Try a smaller learning rate or --amp fp32.')
        metrics[name] = Metric(value=value, ci95=ci95, **kind)
    if not metrics:
        names = ', '.join(job.cfg.benchmark.metrics)
        raise RuntimeError(f'none of {names} was measured: is the validation split empty?')
    record = replace(
        _draft(job, ckpt, model, options),
        metrics=metrics,
        selection=said.about('selection'),
        wall_time_s=round(seconds, 2),
        peak_memory_mb=round(provenance.peak_memory_mb(), 1),
        hardware=provenance.hardware(),
        packages=provenance.packages(),
        git=provenance.git_state(),
        started=started.isoformat(timespec='seconds'),
        extra=said.extra(results) | _covers(job.data) | resumed(runner),
    )
    return record, said.about('per_image')


def check_recordable(job, ckpt, model: str, options) -> None:
    """Raises ConfigError for names and settings that no record can hold: said before anything is computed."""
    where = f'{job.task}: its record could not be written'
    try:
        text = dumps(_draft(job, ckpt, model, options).to_dict(), where)
        text.encode()
    except RecordError as error:
        what = str(error).partition(' Fix the code')[0].rpartition(': field ')[2]
        raise ConfigError(f'{where}: {what} Change that name or setting.') from None
    except UnicodeEncodeError as error:
        line = text[text.rfind('\n', 0, error.start) + 1 : text.find('\n', error.start)].strip(' ,')
        line = line.encode('utf-8', 'backslashreplace').decode()
        raise ConfigError(f'{where}: {line} is no UTF-8 text. Rename that, or give another name.') from None


def _draft(job, ckpt, model: str, options) -> Record:
    """What is known of a record before its run."""
    header = job.cfg.benchmark
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
        protocol_version=header.version,
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


def _covers(data) -> dict:
    return {'content_hash_covers': data.hash_covers} if data.hash_covers else {}


class _Findings:
    """What the metrics of a finished Runner know. Metrics of a shared pass keep one entry for each protocol."""

    def __init__(self, runner, protocol: str):
        self.protocol = protocol
        self.history = next(hook.history for hook in runner.hooks if type(hook).__name__ == 'Progress')
        if not self.history:  # resumed after its last iteration: only the scores are missing
            self.history.append(runner.val_loop.run())
        self.shared = any('/' in name for name in self.history[-1])  # frozen: 'linear/top1', also if alone
        self.metrics = runner.val_evaluator.metrics
        self.pictures = [path for hook in runner.hooks for path in getattr(hook, 'pictures', ())]

    def knows(self, name: str) -> bool:
        return self._full(name) in self.history[-1]

    def _full(self, name: str) -> str:
        """`linear/top1` in a shared pass, `mIoU` in a run of its own."""
        return f'{self.protocol}/{name}' if f'{self.protocol}/{name}' in self.history[-1] else name

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
            if value and not self.shared:
                return value
        return None

    def extra(self, results: Path) -> dict:
        """Scores of every validation, per-class scores, pictures, and whatever else a metric tells of itself."""
        told = {name: known(self.about(name)) for name in ('per_class', 'details')}
        told['pictures'] = [os.path.relpath(path, results) for path in self.pictures]
        return {'history': self._own_history()} | {name: value for name, value in told.items() if value}

    def _own_history(self) -> list[dict]:
        """Less what others of a shared pass scored: theirs need not even be numbers."""
        own = [{k: v for k, v in scores.items() if k.startswith(f'{self.protocol}/')} for scores in self.history]
        return own if any(own) else self.history


def known(value):
    """None for a score that is no number, as of a class that no image shows; dictionaries part by part."""
    if isinstance(value, dict):
        return {name: known(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
