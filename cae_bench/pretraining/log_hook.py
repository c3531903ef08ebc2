"""What a pretraining run says: exact numbers to `log.jsonl`, a line now and then to the terminal, TensorBoard."""

import json
import time
from pathlib import Path

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook

from ..compat.private_names import accumulation
from ..logs import say
from ..registry import HOOKS
from ..training.tensorboard import writer_class

LOG = 'log.jsonl'


@HOOKS.register_module()
class PretrainLog(Hook):
    """Numbers of the updates since the last line: mean losses and token accuracy, last gradient norm and learning rate.

    Args:
        title: begins each line of the terminal.
        interval: updates to a line of the file; `seconds` between lines of the terminal.
        tensorboard: write event files to `<work folder>/tensorboard` too.
    """

    priority = 'BELOW_NORMAL'  # after the learning rate has been set, before checkpoints are written

    def __init__(self, title: str, interval: int = 20, seconds: float = 15.0, tensorboard: bool = False):
        self.title, self.interval, self.seconds = title, interval, seconds
        self.writer_class = writer_class() if tensorboard else None
        self.sums, self.count, self.is_open = {}, 0, False

    def before_train_epoch(self, runner) -> None:
        if not self.is_open:  # the first of this process: a resumed run knows by now where it is
            self._open(runner)

    def _open(self, runner) -> None:
        self.is_open = True
        self.clock = self.spoke = time.monotonic()
        self.first = self.last = runner.iter
        self.started = self.clock
        self.updates_of = accumulation(runner.optim_wrapper)
        self.images = runner.train_dataloader.batch_size * get_world_size()
        self.file = Path(runner.work_dir, LOG)
        self.writer = self.writer_class(str(Path(runner.work_dir, 'tensorboard'))) if self.writer_class else None
        if is_main_process():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            _forget_after(self.file, runner.iter // self.updates_of)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        # Of the update that is coming, before it is stepped.
        self.lr = runner.optim_wrapper.optimizer.param_groups[0]['lr']

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        for name, value in (outputs or {}).items():
            value = value.detach() if isinstance(value, torch.Tensor) else torch.tensor(value)
            self.sums[name] = self.sums.get(name, 0) + value  # stays on the device: nothing waits for it here
        self.count += 1
        done, total = runner.iter + 1, runner.max_iters
        if done % self.updates_of or (done // self.updates_of % self.interval and done < total):
            return
        row = self._row(runner, done)
        if is_main_process():
            with open(self.file, 'a') as file:
                file.write(json.dumps(row) + '\n')
            if self.writer:
                for name, value in row.items():
                    self.writer.add_scalar(f'pretrain/{name}', value, row['update'])
            self._speak(row, done, total, runner)

    def _row(self, runner, done: int) -> dict:
        now, wrapper = time.monotonic(), runner.optim_wrapper
        row = dict(update=done // self.updates_of, epoch=round(done / len(runner.train_dataloader), 4), lr=self.lr)
        row |= {name: float(total) / self.count for name, total in self.sums.items()}
        row |= dict(
            grad_norm=float(wrapper.grad_norm),
            skipped=wrapper.skipped,
            images_per_s=round((done - self.last) * self.images / max(now - self.clock, 1e-9), 2),
        )
        self.sums, self.count, self.clock, self.last = {}, 0, now, done
        return row

    def _speak(self, row: dict, done: int, total: int, runner) -> None:
        now = time.monotonic()
        if now - self.spoke < self.seconds and done < total:
            return
        self.spoke = now
        left = (now - self.started) / (done - self.first) * (total - done)
        parts = ', '.join(f'{name.removeprefix("loss_")} {row[name]:.3f}' for name in row if name.startswith('loss_'))
        accuracy = f', token accuracy {row["token_acc"]:.1f} %' if 'token_acc' in row else ''
        skipped = f', {row["skipped"]} updates left out' if row['skipped'] else ''
        say(
            f'{self.title}: epoch {row["epoch"]:.1f}/{runner.max_epochs}, loss {row["loss"]:.3f} ({parts}){accuracy}, '
            f'gradient {row["grad_norm"]:.2f}, {row["images_per_s"]:.0f} images/s, {_duration(left)} left{skipped}'
        )


def _forget_after(file: Path, update: int) -> None:
    """Drops lines of updates that a resumed run will make again."""
    if file.is_file():
        lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith('\n')]
        file.write_text(''.join(line for line in lines if json.loads(line)['update'] <= update))


def _duration(seconds: float) -> str:
    if seconds < 5400:
        return f'{seconds / 60:.1f} min'
    return f'{seconds / 3600:.1f} h' if seconds < 172800 else f'{seconds / 86400:.1f} days'
