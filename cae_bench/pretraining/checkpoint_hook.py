"""Checkpoints of a long run: in the released layout, atomic, the last few and the milestones kept, resumed exactly."""

import time
from pathlib import Path

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook

from .. import stopping
from ..compat.private_names import accumulation, goto_step
from ..logs import say
from ..registry import HOOKS
from ..training.checkpoint_hook import requested_of_any
from . import checkpoint_files as files


@HOOKS.register_module()
class PretrainCheckpoint(Hook):
    """Writes `epoch-0010.pth`, and `step-00012345.pth` inside long epochs; at the end `<name>.pth`, weights only.

    Args:
        name: of the finished file.
        config: the resolved config as text, kept in every file.
        every: epochs between checkpoints.
        minutes: also when so much time has passed since the last one, inside an epoch; None: at the end of epochs only.
        every_updates: also after so many updates; None: not.
        keep: the last so many are kept; `milestones` (epochs) are kept besides.
        resume: a file to go on from.
        max_failures: checkpoints in a row that could not be written (a full disk) before the run stops.
    """

    priority = 'LOW'

    def __init__(
        self,
        name: str,
        config: str = '',
        every: int = 1,
        minutes: float | None = 30,
        every_updates: int | None = None,
        keep: int = 2,
        milestones: tuple[int, ...] = (),
        resume: str | None = None,
        max_failures: int = 3,
    ):
        self.name, self.config = name, config
        self.every, self.minutes, self.every_updates = every, minutes, every_updates
        self.keep, self.milestones, self.resume, self.max_failures = keep, set(milestones), resume, max_failures
        self.failures = 0

    def before_train(self, runner) -> None:
        self.written = time.monotonic()
        if self.resume is None:
            return
        content = files.read(Path(self.resume))
        runner.train_loop.model.load_released(content['model'])
        runner.optim_wrapper.load_state_dict(content['optimizer'])
        # Counted in updates, so that a run may go on with other devices and another number of accumulation steps.
        iteration = content['update'] * accumulation(runner.optim_wrapper)
        runner.train_loop.goto(iteration)
        for scheduler in runner.param_schedulers:
            goto_step(scheduler, iteration)
        say(f'goes on after update {content["update"]}, from {self.resume}')

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        done, passes = runner.iter + 1, accumulation(runner.optim_wrapper)
        if done % passes or done % len(runner.train_dataloader) == 0:
            return  # the end of an epoch is written below
        if requested_of_any():
            self._write(runner, f'step-{done // passes:08d}.pth', done, True)
            self._stop(runner, done)
        late = self.minutes is not None and time.monotonic() - self.written > 60 * self.minutes
        if late or (self.every_updates and done // passes % self.every_updates == 0):
            self._write(runner, f'step-{done // passes:08d}.pth', done)

    def after_train_epoch(self, runner) -> None:
        epoch, stop = runner.epoch + 1, requested_of_any()
        if epoch % self.every == 0 or epoch in self.milestones or epoch == runner.max_epochs or stop:
            self._write(
                runner, f'epoch-{epoch:04d}.pth', epoch * len(runner.train_dataloader), epoch == runner.max_epochs
            )
        if stop and epoch < runner.max_epochs:
            self._stop(runner, epoch * len(runner.train_dataloader))

    def _stop(self, runner, iteration: int) -> None:
        barrier()  # the main process has written
        passes = accumulation(runner.optim_wrapper)
        raise stopping.Stopped(
            f'Stopped by SIGTERM after update {iteration // passes} of '
            f'{runner.max_iters // passes}, checkpoint in {runner.work_dir}. The same command '
            'goes on from there.'
        )

    def after_train(self, runner) -> None:
        if is_main_process():
            path = Path(runner.work_dir, f'{self.name}.pth')
            try:
                files.save_weights(self._weights(runner), path)
            except OSError as error:
                raise _not_written(path, error) from error

    def _write(self, runner, file: str, iteration: int, must: bool = False) -> None:
        self.written = time.monotonic()
        if not is_main_process():
            return
        content = dict(
            self._weights(runner),
            optimizer=runner.optim_wrapper.state_dict(),
            update=iteration // accumulation(runner.optim_wrapper),
        )
        try:
            files.save(content, Path(runner.work_dir, file))
        except OSError as error:
            self.failures += 1
            if must or self.failures >= self.max_failures:
                raise _not_written(Path(runner.work_dir, file), error) from error
            return say(
                f'{file} could not be written ({error}); the checkpoint before it is intact. Free some space: '
                f'the run stops after {self.max_failures} failures, this was number {self.failures}'
            )
        self.failures = 0
        self._tidy(Path(runner.work_dir))

    def _weights(self, runner) -> dict:
        model, epoch = runner.train_loop.model, runner.epoch
        return dict(
            model=model.released_state_dict(),
            spec=model.spec.to_dict(),
            method=type(model).__name__,
            config=self.config,
            epoch=epoch,
        )

    def _tidy(self, folder: Path) -> None:
        """Deletes what is neither among the last `keep` nor a milestone."""
        kept = {f'epoch-{m:04d}.pth' for m in self.milestones}
        written = sorted([*folder.glob('epoch-*.pth'), *folder.glob('step-*.pth')], key=lambda p: p.stat().st_mtime_ns)
        for path in written[: -self.keep]:
            if path.name not in kept:
                path.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError) -> OSError:
    return OSError(
        f'{path} could not be written ({error}); the checkpoint before it is intact. Free some space and '
        'give the same command again: it goes on from there.'
    )
