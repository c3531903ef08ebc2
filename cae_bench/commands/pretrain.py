"""`cae-bench pretrain`: config + images -> Runner -> a checkpoint that `cae-bench run` takes.

Read it as the sibling of benchmark.py. A config of configs/pretrain says what is trained (`model`), what an image
becomes (`view`, `mask`) and how long and how fast (`pretrain`); everything else is the same for every method.
"""

import json
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .. import stopping
from ..datasets import files
from ..datasets.scenes.make import make_scenes
from ..distributed import cpu_processes
from ..distributed.device import choose_device
from ..distributed.launchers import LAUNCHERS, world_size
from ..errors import ConfigError, DataError
from ..logs import prints_go_to, say
from ..pretraining import checkpoint_files
from ..pretraining.images import training_folder
from ..pretraining.recipe import Recipe, in_epochs, recipe_of, runner_config
from ..runs.work_lock import work_lock
from ..training.runner import QuietRunner, closes_log_files
from .pretrain_config import PretrainOptions, read
from .pretrain_names import find


def pretrain(
    config: str, data: dict[str, str] | None = None, work_dir: str | Path | None = None, **settings: Any
) -> Path:
    """Trains an encoder; returns the finished file, which holds the weights in the layout of the method's release.

    Args:
        config: a name below configs/pretrain (`cae_vit-tiny_scenes`) or a file.
        data: {name: folder}, one data set: any folder of images, or one in a layout that `run` knows.
        work_dir: for checkpoints and logs; default `pretrained/<name>`. A run found there goes on where it stopped.
        settings: the fields of PretrainOptions.

    Raises:
        CaeBenchError: wrong use or bad input, before anything is computed.
        pretraining.optimizer.Diverged: no finite gradients.
    """
    options = PretrainOptions(**settings)
    choose_device(options.device)
    source = find(config)
    cfg = read(source, options)
    name, folder = _data(cfg.pretrain.data, data or {})
    title = source.stem if name == cfg.pretrain.data else f'{source.stem.removesuffix("_" + cfg.pretrain.data)}_{name}'
    work_dir = Path(work_dir or Path('pretrained', title))
    recipe = recipe_of(cfg)
    images = _count(folder, recipe.limit)
    identity = _identity(cfg, name, images, options)
    recipe = in_epochs(recipe, images)
    with work_lock(work_dir, title, options.launcher, wait=False):
        return _train(cfg, recipe, options, folder, work_dir, title, images, identity)


def _train(
    cfg: Config,
    recipe: Recipe,
    options: PretrainOptions,
    folder: str,
    work_dir: Path,
    title: str,
    images: int,
    identity: str,
) -> Path:
    newest, finished = _found(work_dir, identity, options.resume), work_dir / f'{title}.pth'
    if newest and finished.is_file():
        say(f'{title}: already done, {finished}')
        return finished
    devices = world_size(options.launcher, 'pretrain')
    runner_cfg = runner_config(cfg, recipe, options, folder, work_dir, title, devices)
    runner_cfg['launcher'] = LAUNCHERS[options.launcher]
    hook = dict(
        type='cae_bench.PretrainCheckpoint',
        name=title,
        config=identity,
        every=recipe.save_every,
        milestones=tuple(recipe.milestones),
        minutes=options.save_minutes,
        every_updates=options.save_updates,
        resume=str(newest) if newest else None,
    )
    runner_cfg['custom_hooks'].append(hook)
    say(
        f'{title}: {images} images, {recipe.epochs} epochs of {images // recipe.batch} updates; '
        f'checkpoints and log in {work_dir}'
    )
    _run(runner_cfg, options.launcher, work_dir)
    say(f'{title}: finished, {finished}')
    return finished


def _identity(cfg: Config, name: str, images: int, options: PretrainOptions) -> str:
    """What a run must be continued with, as text: kept in its checkpoints."""
    idle = ('per_device', 'workers', 'in_memory', 'save_every', 'milestones', 'log_every', 'max_skips')
    header = {k: v for k, v in cfg.pretrain.items() if k not in idle}
    parts = dict(
        model=cfg.model,
        view=cfg.view,
        mask=cfg.mask,
        pretrain=dict(header, data=name),
        images=images,
        seed=options.seed,
    )
    return json.dumps(parts, indent=1, sort_keys=True, default=str)


def _found(work_dir: Path, identity: str, resume: bool) -> Path | None:
    """The checkpoint to go on from; raises where the folder holds the run of another config."""
    found = checkpoint_files.newest(work_dir)
    if found is None:
        return None
    newest, content = found
    if not resume:
        raise ConfigError(
            f'{work_dir} holds a run already: leave --no-resume out to go on, or choose another folder with -o.'
        )
    there = _flat(json.loads(content['config']))
    here = _flat(json.loads(identity))
    differ = [
        f'{k}: {there.get(k, "absent")} there, {here.get(k, "absent")} now'
        for k in sorted(there.keys() | here.keys())
        if there.get(k) != here.get(k) and not k.endswith('target.checkpoint')
    ]
    if differ:
        raise ConfigError(
            f'{work_dir} holds a run with other settings ({"; ".join(differ[:6])}'
            f'{f"; {len(differ) - 6} more" if len(differ) > 6 else ""}). Give those, or another folder with -o.'
        )
    return newest


def _flat(node: Any, prefix: str = '') -> dict[str, Any]:
    """{'a': {'b': 1}} -> {'a.b': 1}."""
    if not isinstance(node, dict):
        return {prefix[:-1]: node}
    return {k: v for key, value in node.items() for k, v in _flat(value, f'{prefix}{key}.').items()}


def _data(default: str, data: dict[str, str]) -> tuple[str, str]:
    """(name, folder) of the one data set; the embedded scenes are drawn where nobody names a folder for them."""
    if len(data) > 1:
        raise ConfigError(f'--data was given {len(data)} times: pretraining reads one data set')
    if data:
        return next(iter(data.items()))
    if default != 'scenes':
        raise ConfigError(
            f'no folder for data set {default!r}. Add --data {default}=DIR, or --data NAME=DIR for other images.'
        )
    folder = Path('data/scenes')
    if not folder.exists():
        say(f'draws the embedded scenes into {folder}')
    return default, str(make_scenes(folder))


def _run(cfg: dict[str, Any], launcher: str, work_dir: Path) -> None:
    cfg = cfg | cpu_processes.join(launcher)
    with closes_log_files(), prints_go_to(work_dir / 'printed.log'), stopping.at_safe_points():
        QuietRunner.from_cfg(Config(cfg)).train()


def _count(folder: str, limit: int | None) -> int:
    place = training_folder(Path(folder).expanduser())
    images = sum(1 for _ in files.walk(place))
    if not images:
        raise DataError(f'{place} holds no images ({" ".join(files.IMAGES)}): give a folder of images.')
    return min(images, limit or images)
