"""What a run says while it works: a line now and then, with the loss and the time left."""

import time
from numbers import Real

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop

from ..logs import say
from ..registry import HOOKS

VALIDATIONS = 'validations'  # in the message hub, so in every checkpoint: [{'iteration': 3, 'scores': {}}]


@HOOKS.register_module()
class Progress(Hook):
    """Logs at most one line in `seconds`, and one for every validation. Keeps the metrics of each validation.

    The time left is that of the updates and, once a validation has been timed, of the validations still to come.
    """

    priority = 'VERY_LOW'

    def __init__(self, task: str, seconds: float = 15.0):
        self.task, self.seconds = task, seconds
        self.history: list[dict] = []  # one flat dict of floats for each validation, in order
        self.validated: list[float] = []  # seconds that each took in this process
        self.started = self.spoke = time.monotonic()

    def before_train(self, runner):
        self.started = self.spoke = time.monotonic()
        self.first_iter = runner.iter
        if not runner.iter:  # mmengine keeps what a run of this name left behind
            runner.message_hub.update_info(VALIDATIONS, [])
        self.history = [dict(v['scores']) for v in validations(runner)]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        now = time.monotonic()
        if now - self.spoke < self.seconds:
            return
        self.spoke = now
        done, total = runner.iter + 1, runner.max_iters
        loss = ''
        if 'train/loss' in runner.message_hub.log_scalars:
            loss = f', loss {runner.message_hub.get_scalar("train/loss").current():.3f}'
        time_left = self.time_left(now - self.started, done, total, validations_left(runner))
        say(f'{self.task}: iteration {done}/{total}{loss}, {time_left}')

    def time_left(self, seconds: float, done: int, total: int, validations: int) -> str:
        """seconds: since training began, with the validations so far. done: updates, of `total`."""
        training = (seconds - sum(self.validated)) / max(1, done - self.first_iter) * (total - done)
        if not validations:
            return f'{training / 60:.1f} min left'
        if self.validated:
            validating = validations * sum(self.validated) / len(self.validated)
            return f'{(training + validating) / 60:.1f} min left'
        return f'{training / 60:.1f} min of training left, and {validations} validation{"s" * (validations > 1)}'

    def after_train(self, runner):
        done = validations(runner)
        if runner.val_loop is not None and (not done or done[-1]['iteration'] != runner.iter):
            runner.val_loop.run()  # resumed where only the scores were missing

    def before_val(self, runner):
        self.validates_since = time.monotonic()

    def after_val_epoch(self, runner, metrics=None):
        metrics = metrics or {}
        kept = [v for v in validations(runner) if v['iteration'] != runner.iter]
        plain = {k: float(v) if isinstance(v, Real) else v for k, v in metrics.items()}  # as a checkpoint takes it
        kept.append(dict(iteration=runner.iter, scores=plain))
        runner.message_hub.update_info(VALIDATIONS, kept)
        self.history = [dict(v['scores']) for v in kept]
        shown = ', '.join(f'{k} {v:.1f}' for k, v in list(metrics.items())[:4] if isinstance(v, (int, float)))
        say(f'{self.task}: validated, {shown}')

    def after_val(self, runner):
        self.validated.append(time.monotonic() - self.validates_since)


def validations(runner) -> list[dict]:
    """[{'iteration': updates done before it, 'scores': {}}] of the whole training, interrupted or not."""
    return runner.message_hub.get_info(VALIDATIONS) or []


def validations_left(runner) -> int:
    """How many a training has still to come to, asked at the end of an update."""
    loop = runner.train_loop
    if runner.val_loop is None:
        return 0
    by_iteration = isinstance(loop, IterBasedTrainLoop)
    now, end = (runner.iter, runner.max_iters) if by_iteration else (runner.epoch, runner.max_epochs)
    return end // loop.val_interval - now // loop.val_interval + bool(end % loop.val_interval)
