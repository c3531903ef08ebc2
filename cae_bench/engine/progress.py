"""What a run says while it works: a line now and then, with the loss and the time left."""
import time

from mmengine.hooks import Hook

from ..logs import say
from ..registry import HOOKS


@HOOKS.register_module()
class Progress(Hook):
    """Logs at most one line in `seconds`, and one for every validation. Keeps the metrics of each validation."""
    priority = 'VERY_LOW'

    def __init__(self, task: str, seconds: float = 15.0):
        self.task, self.seconds = task, seconds
        self.history: list[dict] = []                  # one flat dict of floats for each validation, in order

    def before_train(self, runner):
        self.started = self.spoke = time.monotonic()
        self.first_iter = runner.iter

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        now = time.monotonic()
        if now - self.spoke < self.seconds:
            return
        self.spoke = now
        done, total = runner.iter + 1, runner.max_iters
        left = (now - self.started) / max(1, done - self.first_iter) * (total - done)
        loss = runner.message_hub.get_scalar('train/loss').current() if 'train/loss' in runner.message_hub.log_scalars \
            else None
        said = f'{self.task}: iteration {done}/{total}' + ('' if loss is None else f', loss {loss:.3f}')
        say(f'{said}, {left / 60:.1f} min left')

    def after_val_epoch(self, runner, metrics=None):
        self.history.append(dict(metrics))
        shown = ', '.join(f'{k} {v:.1f}' for k, v in list(metrics.items())[:4] if isinstance(v, (int, float)))
        say(f'{self.task}: validated, {shown}')
