"""A run of three probes in a process of its own, for tests that kill it or run two of it. Writes how it ended."""

import time
from pathlib import Path

import torch
from frozen_runs import config, scores
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cae_bench.probing.shared_pass import join


class Slow(Hook):
    """Leaves the parent time to kill this process, and tells where a resumed run began."""

    first = None

    def __init__(self, seconds):
        self.seconds = seconds

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.first = runner.iter if self.first is None else self.first
        time.sleep(self.seconds)


def main(mode: str, data: Path, work_dir: Path, bn_group: int = 8) -> None:
    Config.pretty_text = property(lambda self: repr(self.to_dict()))  # yapf takes seconds
    torch.set_num_threads(1)
    small = dict(batch_size=16, bn_group=bn_group)  # 3 steps an epoch; loader batches of 10 straddle every group
    cfg = join(
        [
            config('linear', data, work_dir, epochs=3, grid=dict(lr=[0.5, 2.0]), hold_out=True, **small),
            config('attentive', data, work_dir, epochs=3, eval_batch_stats=dict(ranks=3, batch_size=5), **small),
            config('knn', data, work_dir),
        ]
    )
    cfg.train_dataloader.dataset.update(held_out=0.2, skip_corrupt=True)
    cfg.train_cfg.val_interval = 3  # after the first epoch, for k-NN, and after the last
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=7, save_last=False)
    cfg.launcher = 'pytorch' if mode == 'distributed' else 'none'
    if mode == 'distributed':  # mmengine's own start of gloo asks for a GPU
        torch.distributed.init_process_group('gloo')
    cfg.resume = mode == 'resume'
    runner = Runner.from_cfg(cfg)
    slow = Slow(0.5 if mode == 'slow' else 0)
    runner.register_hook(slow)
    runner.train()
    if runner.rank == 0:
        model = getattr(runner.model, 'module', runner.model)
        metric = runner.val_evaluator.metrics[0]
        torch.save(
            dict(
                weights={k: v for k, v in model.state_dict().items() if k.startswith(('probes', 'siblings'))},
                scores={k: float(v) for k, v in scores(runner).items() if '/' in k},
                first_iter=slow.first,
                curves={name: report.selection['curve'] for name, report in metric.reports.items()},
            ),
            work_dir / 'end.pth',
        )
