"""Checkpoints of a run: atomic, the last two kept, also written as time passes and before a SIGTERM ends the run."""

import time
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, barrier, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook

from .. import stopping
from ..logs import say
from ..paths import replacing
from ..registry import HOOKS
from . import checkpoint_files as run_files


@HOOKS.register_module()
class RunCheckpoint(CheckpointHook):
    """mmengine's CheckpointHook, for runs that may end at any moment.

    Args:
        interval: epochs or iterations between checkpoints, as `by_epoch` says; `epoch_3.pth`, `iter_300.pth`.
        minutes: also when so much time has passed since the last one, in the middle of an epoch too; None: not.
        max_keep_ckpts: the last so many are kept; -1: all.
        others: arguments of CheckpointHook.

    A file that cannot be written (a full disk) is reported: the one before it is intact, and the run goes on.
    """

    def __init__(
        self, interval: int = -1, by_epoch: bool = True, max_keep_ckpts: int = 2, minutes: float | None = 5, **others
    ):
        super().__init__(interval, by_epoch, max_keep_ckpts=max_keep_ckpts, **others)
        self.minutes = minutes

    def before_train(self, runner) -> None:
        super().before_train(runner)
        self.written = time.monotonic()
        # A run that starts anew keeps nothing of the one before it, once it has a checkpoint of its own.
        # Nor are those newer than the one resumed from kept, which could not be read.
        files, source = run_files.checkpoints(Path(self.out_dir)), getattr(runner, 'resumed_from', None)
        self.kept = files[files.index(source) :][::-1] if source in files else []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        done = runner.iter + 1
        stop = requested_of_any()
        due = not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval, self.save_begin)
            or self.save_last
            and self.is_last_train_iter(runner)
        )
        late = self.minutes is not None and time.monotonic() - self.written > 60 * self.minutes
        if due or late or stop:
            self._write(runner, f'iter_{done}.pth', dict(epoch=runner.epoch, iter=done))
        if stop:
            barrier()  # the main process has written
            self._stop(runner, done)

    def after_train_epoch(self, runner) -> None:
        due = self.every_n_epochs(runner, self.interval, self.save_begin)
        if self.by_epoch and (due or self.save_last and self.is_last_train_epoch(runner)):
            self._write(
                runner, self.filename_tmpl.format(runner.epoch + 1), dict(epoch=runner.epoch + 1, iter=runner.iter)
            )

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """A validation may take longer than a scheduler waits, and its model is that of the last update."""
        if not runner.iter:  # nothing was trained: --eval-only
            stopping.stop_if_requested()
        elif stopping.requested():  # each process by itself: none can be asked in between
            self._write(runner, f'iter_{runner.iter}.pth', dict(epoch=runner.epoch, iter=runner.iter))
            self._stop(runner, runner.iter)

    def _stop(self, runner, done: int) -> None:
        last = f'checkpoint {self.kept[-1]}' if self.kept else 'without a checkpoint'
        raise stopping.Stopped(
            f'Stopped by SIGTERM after iteration {done} of {runner.max_iters}, {last}. The same '
            'command goes on from there.'
        )

    def _write(self, runner, name: str, meta: dict) -> None:
        self.written = time.monotonic()
        path = Path(self.out_dir, name)
        if not is_main_process() or path in self.kept[-1:]:
            return
        try:
            with replacing(path, alone=True) as draft:
                runner.save_checkpoint(
                    str(draft.parent),
                    draft.name,
                    meta=meta,
                    save_optimizer=self.save_optimizer,
                    save_param_scheduler=self.save_param_scheduler,
                )
        except (OSError, RuntimeError) as error:  # torch's zip writer has a RuntimeError for a full disk
            if isinstance(error, RuntimeError) and 'write' not in str(error):
                raise
            say(f'{path} could not be written ({error}); the checkpoint before it is intact. Free some space')
            return
        self.last_ckpt = str(path)
        self.kept.append(path)
        self._tidy(path.parent)

    def _tidy(self, folder: Path) -> None:
        if self.max_keep_ckpts > 0:
            self.kept = self.kept[-self.max_keep_ckpts :]
            for path in set(run_files.checkpoints(folder)) - set(self.kept):
                path.unlink(missing_ok=True)


def requested_of_any() -> bool:
    """Whether a SIGTERM has come to any process: all stop after the same update."""
    if get_world_size() == 1:
        return stopping.requested()
    flag = torch.tensor(float(stopping.requested()), device=get_device() if torch.cuda.is_available() else 'cpu')
    all_reduce(flag)
    return bool(flag)
