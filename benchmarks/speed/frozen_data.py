"""How fast images are read, and how long a frozen pass waits for them. `benchmarks/speed/frozen.py` calls it."""

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cae_bench import checkpoints
from cae_bench.datasets.describe import describe
from cae_bench.probing.views import ImageViews
from cae_bench.runs.options import Options
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task
from cae_bench.training.runner import QuietRunner


def photographs(root: str, train: int, val: int = 4) -> None:
    """JPEGs of 500 x 375 in two classes: smooth, so about as large as photographs."""
    rng = np.random.default_rng(0)
    for split, count in (('train', train), ('val', val)):
        for name in ('a', 'b'):
            Path(root, split, name).mkdir(parents=True)
            for i in range(count // 2):
                coarse = Image.fromarray(rng.integers(0, 256, (25, 33, 3), dtype=np.uint8))
                smooth = coarse.resize((500, 375), Image.Resampling.BICUBIC)
                smooth.save(Path(root, split, name, f'{i}.jpg'), quality=90)


def reading(images: int = 48, rounds: int = 3) -> float:
    """Images a second of one worker: decode once, crop twice."""
    with tempfile.TemporaryDirectory() as root:
        photographs(root, images)
        data = ImageViews(
            root,
            views=dict(
                clamped=dict(type='cae_bench.ClampedCropView', size=224),
                crop=dict(type='cae_bench.RandomCropView', size=224),
            ),
        )
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            for i in range(images):
                data[0, 0, i]
            times.append(time.perf_counter() - start)
    return images / min(times)


def waiting(arch: str, device: str, images: int, workers: int = 1) -> float:
    """Share of a linear pass of the paper's recipe that the engine spends waiting for its loader."""
    with tempfile.TemporaryDirectory() as root:
        photographs(root, images)
        options = Options(
            device=device,
            cfg_options={
                'model.probes.linear.batch_size': 32,
                'model.probes.linear.bn_group': 32,
                'train_cfg.max_epochs': 2,
                'train_cfg.val_interval': 2,
                'model.probes.linear.schedule.warmup_epochs': 0,
                'default_hooks.checkpoint': None,
                'train_dataloader.batch_size': 16,
                'train_dataloader.num_workers': workers,
                'val_dataloader.num_workers': 0,
                'val_dataloader.persistent_workers': False,
            },
        )
        cfg = build(
            Task('photographs', 'linear'),
            checkpoints.load(f'random:vit-{arch}'),
            describe('photographs', root, 'image_folder'),
            options,
        )
        cfg.work_dir = root
        runner = QuietRunner.from_cfg(cfg)
        runner.train()
        return runner.train_loop.waited / runner.train_loop.took
