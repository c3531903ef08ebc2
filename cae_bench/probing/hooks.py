"""What a pass over frozen features says of itself: a bar with the time left, a line for each validation."""

import sys
import time

from mmengine.hooks import Hook

from ..logs import say
from ..registry import HOOKS

HISTORY, SKIPPED = 'frozen_history', 'frozen_skipped'  # as in cae_bench.evaluation.accuracy


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
        pages, epoch = runner.message_hub.get_info(HISTORY) or {}, runner.epoch
        said = [line for name, page in pages.items() if (line := best_head(name, page, epoch))]
        if said:
            say(f'epoch {epoch}/{runner.max_epochs}: {", ".join(said)}, {self._waiting(runner)}')

    def after_pass(self, runner):
        """The loop's own last call, also after an error: a bar left open would keep the terminal's cursor."""
        if self.bar:
            self.bar.stop()

    def after_train(self, runner):
        names = runner.message_hub.get_info(SKIPPED) or []
        if names:
            more = f' and {len(names) - 3} more' if len(names) > 3 else ''
            say(f'{len(names)} image{"s" * (len(names) > 1)} left out, cannot be decoded: {", ".join(names[:3])}{more}')

    def _waiting(self, runner) -> str:
        loop = runner.train_loop
        return f'{100 * loop.waited / max(loop.took, 1e-9):.0f} % of the time waiting for data'


def best_head(name: str, page: dict, epoch: int) -> str | None:
    """'linear 61.2 (lr 6.4)': the best cell of this epoch, or None where the probe was not scored in it."""
    if not page['epochs'] or page['epochs'][-1]['epoch'] != epoch:
        return None
    now = page['kept']['last']
    axes = [axis for axis in page['cells'][0] if len({str(c[axis]) for c in page['cells']}) > 1]
    which = ', '.join(f'{axis} {page["cells"][now["cell"]][axis]:g}' for axis in axes)
    gone = sum(page['diverged'])
    return f'{name} {now["top1"]:.1f}' + (f' ({which})' if which else '') + (f', {gone} diverged' if gone else '')
