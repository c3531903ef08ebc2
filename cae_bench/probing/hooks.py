"""What a terminal shows of a pass over frozen features: a bar with the time left, a line for each validation."""

import sys
import time

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..logs import say
from ..registry import HOOKS
from .history import ProbeHistory
from .loop import FrozenTrainLoop


@HOOKS.register_module()
class HeadLines(Hook):
    """One line for each validation, with the best head of every probe; on a terminal, a bar with the time left."""

    priority = 'VERY_LOW'

    def before_train(self, runner):
        self.bar, self.started, self.first = None, time.monotonic(), runner.iter
        for trainer in runner.optim_wrapper.all()[: len(runner.optim_wrapper.trainers)]:
            say(trainer.plan())
        if sys.stderr.isatty() and runner.rank == 0:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn('{task.description}'),
                BarColumn(),
                TextColumn('{task.percentage:.0f} %'),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.task = self.bar.add_task('frozen pass', total=runner.max_iters, completed=runner.iter)
            self.bar.start()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.bar:
            self.bar.update(self.task, completed=runner.iter + 1)

    def after_val_epoch(self, runner, metrics=None):
        loop, epoch = frozen_loop(runner), runner.epoch
        heads = [best_head(name, history, epoch) for name, history in loop.history.probes.items()]
        scored = [head for head in heads if head is not None]
        if scored:
            waiting = 100 * loop.waited / max(loop.took, 1e-9)
            say(f'epoch {epoch}/{runner.max_epochs}: {", ".join(scored)}, {waiting:.0f} % of the time waiting for data')

    def after_pass(self, runner):
        """The loop's own last call, also after an error: a bar left open would keep the terminal's cursor."""
        if self.bar:
            self.bar.stop()

    def after_train(self, runner):
        names = frozen_loop(runner).history.skipped
        if names:
            more = f' and {len(names) - 3} more' if len(names) > 3 else ''
            say(f'{len(names)} image{"s" * (len(names) > 1)} left out, cannot be decoded: {", ".join(names[:3])}{more}')


def frozen_loop(runner: Runner) -> FrozenTrainLoop:
    loop = runner.train_loop
    assert isinstance(loop, FrozenTrainLoop), 'HeadLines belongs to a frozen pass'
    return loop


def best_head(name: str, history: ProbeHistory, epoch: int) -> str | None:
    """'linear 61.2 (lr 6.4)': the best cell of this epoch, or None where the probe was not scored in it."""
    best = history.last
    if best is None or best.epoch != epoch:
        return None
    axes = [axis for axis in history.cells[0] if len({str(cell[axis]) for cell in history.cells}) > 1]
    values = ', '.join(f'{axis} {history.cells[best.cell][axis]:g}' for axis in axes)
    diverged = sum(history.diverged)
    head = f'{name} {best.top1:.1f}'
    return head + (f' ({values})' if values else '') + (f', {diverged} diverged' if diverged else '')
