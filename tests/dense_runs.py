"""Whole runs of every protocol that trains a network, cut down to seconds, each in a process of its own."""

import json
import logging
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import children
import torch

import cae_bench
from cae_bench.logs import LOGGER
from cae_bench.training.progress import Progress

SMALL = {'finetune': 4, 'upernet': 2, 'linear_seg': 2, 'mask_rcnn': 2}  # images of a micro-batch
ITERATIONS = 6


class Child(NamedTuple):
    process: BaseProcess
    log: Path


def settings(protocol: str, workers: int = 0) -> dict:
    """Options of benchmark.run: six updates, validated after the third and the sixth, a checkpoint after each."""
    loader = {
        f'{x}_dataloader.{key}': value
        for x in ('train', 'val')
        for key, value in (('num_workers', workers), ('persistent_workers', bool(workers)))
    }
    every = {'default_hooks.checkpoint.interval': 1}
    if protocol == 'paper_finetune':  # mixup, cutmix, RandAugment, erasing, drop path, epochs
        return dict(
            tasks=['scenes/finetune'],
            recipe='paper',
            cfg_options={
                **loader,
                'benchmark.global_batch': 8,
                'train_dataloader.batch_size': 4,
                'train_cfg.max_epochs': 2,
                'default_hooks.checkpoint.interval': 2,
                'param_scheduler.warmup_epochs': 1,
                'train_dataloader.dataset.transform.size': 32,
                'val_dataloader.dataset.transform.0.size': 32,
                'val_dataloader.dataset.transform.0.resize': 36,
                'model.backbone.img_size': 32,
                'optim_wrapper.optimizer.lr': 1e-3,
                'model.backbone.drop_path_rate': 0.5,
            },
        )
    if protocol == 'vitdet_mask_rcnn':
        return dict(
            tasks=['scenes/vitdet_mask_rcnn'],
            recipe='paper',
            cfg_options={
                **loader,
                **every,
                'benchmark.global_batch': 2,
                'train_cfg.max_iters': ITERATIONS,
                'train_cfg.val_interval': 3,
                'param_scheduler.warmup_iters': 2,
                'model.backbone.table_size': 64,
                'model.data_preprocessor.pad_size_divisor': 64,
                'train_dataloader.dataset.pipeline.3.scale': (64, 64),
                'train_dataloader.dataset.pipeline.4.crop_size': (64, 64),
                'val_dataloader.dataset.pipeline.1.scale': (64, 64),
                'model.backbone.global_blocks': [0, 1],
                'model.backbone.drop_path_rate': 0.5,
                'model.train_cfg.rcnn.sampler.num': 8,
                'model.train_cfg.rpn_proposal.max_per_img': 50,
                'model.test_cfg.rcnn.max_per_img': 5,
                'model.test_cfg.rpn.max_per_img': 20,
                'model.roi_head.bbox_head.conv_out_channels': 32,
                'model.roi_head.bbox_head.fc_out_channels': 32,
                'model.roi_head.mask_head.conv_out_channels': 32,
            },
        )
    schedule = (
        {'param_scheduler.warmup_iters': 2}
        if protocol in ('finetune', 'linear_seg')
        else {'param_scheduler.0.end': 2, 'param_scheduler.1.begin': 2, 'param_scheduler.1.end': ITERATIONS}
    )
    return dict(
        tasks=[f'scenes/{protocol}'],
        recipe='mini',
        cfg_options={
            **loader,
            **every,
            **schedule,
            'train_dataloader.batch_size': SMALL[protocol],
            'train_cfg.max_iters': ITERATIONS,
            'train_cfg.val_interval': 3,
            **({} if protocol == 'linear_seg' else {'model.backbone.drop_path_rate': 0.5}),
        },
    )


def start(
    protocol: str,
    data: Path,
    results: Path,
    kill_at: int | None = None,
    workers: int = 0,
    cfg_options: dict | None = None,
    then: Callable[[], None] | None = None,
    env: dict[str, str] | None = None,
    **options,
) -> Child:
    """The run in a child process; what it says lies in `results/said.txt`.

    kill_at: when so many updates are done and the next has begun, the process kills itself, or calls `then`.
    """
    options = settings(protocol, workers) | options
    options['cfg_options'] |= cfg_options or {}
    log = results / 'output.txt'
    return Child(children.start(_run, options, data, results, kill_at, then or kill, log=log, env=env), log)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _run(options: dict, data: Path, results: Path, at: int | None, then: Callable[[], None]) -> None:
    torch.set_num_threads(1)
    LOGGER.addHandler(logging.FileHandler(results / 'said.txt'))
    LOGGER.setLevel(logging.INFO)
    if at is not None:
        Progress.before_train_iter = lambda hook, runner, **_: then() if runner.iter == at else None
    outcome = cae_bench.run(
        'random:vit-48x2x3', data={'scenes': str(data)}, results=results, name='tiny', device='cpu', **options
    )
    assert not outcome.failures, outcome.failures


def end(results: Path) -> tuple[dict, dict]:
    """What a finished run left: its last checkpoint and its record."""
    last = max((results / 'work_dirs').rglob('*.pth'), key=lambda path: path.stat().st_mtime_ns)
    record = json.loads(next((results / 'measured').rglob('*.json')).read_text())
    return torch.load(last, weights_only=False), record


def finish(child: Child, code: int = 0) -> None:
    children.finish(*child, code)
