"""A tiny image folder, a tiny ViT and the shipped mini configs cut down: runs of a second."""

import itertools
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from cae_bench.checkpoints.spec import ViTSpec
from cae_bench.probing.shared_pass import join

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
SPEC = ViTSpec(family='cae', embed_dims=32, num_layers=2, num_heads=2, patch_size=8, img_size=(16, 16))
counter = itertools.count()


def draw_images(root: Path, train: int = 16, val: int = 8, classes: int = 3) -> Path:
    """`train` + `val` images a class of noise around a colour of their own."""
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 216, (classes, 3))
    for split, count in (('train', train), ('val', val)):
        for label, colour in enumerate(colours):
            folder = root / split / f'class{label}'
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(colour + rng.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f'{i}.png')
    return root


def config(protocol: str, data: Path, work_dir: Path, epochs: int | None = None, **probe) -> Config:
    """A shipped config on the tiny data and backbone; `probe` overrides keys of its probe."""
    # As a run builds it: a view that mmengine filled in at two places is two views from here on.
    cfg = Config(Config.fromfile(CONFIGS / protocol / 'mini.py').to_dict())
    cfg.model.backbone = dict(type='cae_bench.ViT', spec=SPEC.to_dict(), frozen=True)
    cfg.model.num_classes = len(list((data / 'train').iterdir()))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.data_root = str(data)
        loader.update(num_workers=0, persistent_workers=False, batch_size=10)
        for view in loader.dataset.views.values():
            view.update(size=16, **({'resize': 16} if 'resize' in view else {}))
    cfg.model.probes[protocol].update(probe)
    if 'optimizer' in cfg.model.probes[protocol]:
        cfg.model.probes[protocol].setdefault('hold_out', False)
    if epochs:
        cfg.train_cfg.update(max_epochs=epochs, val_interval=1)
    cfg.default_hooks.checkpoint = None
    cfg.update(
        work_dir=str(work_dir), randomness=dict(seed=0), log_level='ERROR', experiment_name=f'tiny{next(counter)}'
    )
    return cfg


def run(*configs: Config) -> Runner:
    """Trains and validates; returns the finished runner."""
    runner = Runner.from_cfg(join(list(configs)) if len(configs) > 1 else configs[0])
    runner.train()
    return runner


def scores(runner: Runner) -> dict:
    """The last validation's metrics."""
    told = runner.message_hub.log_scalars.items()
    return {k.removeprefix('val/'): v.current() for k, v in told if k.startswith('val/')}


def run_nothing(runner: Runner) -> dict:
    """The initial weights of the linear probe: those of a model built anew from the same config and seed."""
    fresh = Runner.from_cfg(Config(dict(runner.cfg, experiment_name=f'tiny{next(counter)}')))
    return {k: v[0].detach().clone() for k, v in fresh.model.probes.linear.named_parameters()}
