"""The corridor of `cae-bench pretrain`: config + images -> Runner -> a checkpoint that `cae-bench run` takes.

Read it as the sibling of benchmark.py. A config of configs/pretrain says what is trained (`model`), what an image becomes
(`view`, `mask`) and how long and how fast (`pretrain`); everything else is the same for every method and is made here.
"""
import json
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from .errors import ConfigError, DataError, nearest
from .logs import prints_go_to, say
from .paths import shipped

LAUNCHERS = {'none': 'none', 'torchrun': 'pytorch', 'slurm': 'slurm'}


@dataclass(frozen=True)
class Recipe:
    """The `pretrain` dict of a config. `batch` is the number of images in an update, whatever the number of devices."""
    data: str
    batch: int
    lr: float
    epochs: int | None = None
    updates: int | None = None               # instead of epochs: about so many, in whole epochs, whatever the data set's size
    warmup_epochs: float | None = None
    warmup: float = 0.0                      # instead of warmup_epochs: share of the whole
    min_lr: float = 1e-5
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    clip_grad: float | None = 3.0
    schedule: str = 'cae_bench.WarmupCosineLR'
    no_decay: tuple[str, ...] = ()
    amp: str = 'fp32'
    per_device: int = 64                     # images that a device holds at a time, at most
    workers: int = 2
    in_memory: bool = False
    limit: int | None = None
    save_every: int | None = None            # epochs between checkpoints; default: twenty in all
    milestones: tuple[int, ...] = ()
    log_every: int = 20
    max_skips: int = 10
    version: int = 1


@dataclass(frozen=True)
class Options:
    """What a user may say about a run."""
    resume: bool = True
    amp: str | None = None
    seed: int = 0
    device: str | None = None
    launcher: str = 'none'
    max_corrupt: int = 0
    tokenizer: str | None = None
    knn: int | None = None                   # epochs between k-NN scores
    pictures: int | None = None              # epochs between pictures
    tensorboard: bool = False
    save_minutes: float | None = 30
    save_updates: int | None = None
    cfg_options: dict = field(default_factory=dict)


def pretrain(config: str, data: dict[str, str] | None = None, work_dir: str | Path | None = None, **options) -> Path:
    """Trains an encoder; returns the finished file, which holds the weights in the layout of the method's release.

    Args:
        config: a name below configs/pretrain (`cae_vit-tiny_scenes`) or a file.
        data: {name: folder}, one data set: any folder of images, or one in a layout that `run` knows.
        work_dir: for checkpoints and logs; default `pretrained/<name>`. A run found there goes on where it stopped.
        options: the fields of Options.

    Raises:
        CaeBenchError: wrong use or bad input, before anything is computed.
        engine.pretrain_optim.Diverged: no finite gradients.
    """
    from .benchmark import _choose_device
    options = Options(**options)
    _choose_device(options.device)
    source = find(config)
    cfg = read(source, options)
    name, folder = _data(cfg.pretrain.data, data or {})
    title = source.stem if name == cfg.pretrain.data else f'{source.stem.removesuffix("_" + cfg.pretrain.data)}_{name}'
    work_dir = Path(work_dir or Path('pretrained', title))
    recipe, settings = recipe_of(cfg), _settings(cfg, name, options)
    newest, finished = _found(work_dir, settings, options.resume), work_dir / f'{title}.pth'
    if newest and finished.is_file():
        say(f'{title}: already done, {finished}')
        return finished
    images = _count(folder, recipe.limit)
    recipe = in_epochs(recipe, images)
    runner_cfg = runner_config(cfg, recipe, options, folder, work_dir, title)
    hook = dict(type='cae_bench.PretrainCheckpoint', name=title, config=settings, every=recipe.save_every,
                milestones=tuple(recipe.milestones), minutes=options.save_minutes, every_updates=options.save_updates,
                resume=str(newest) if newest else None)
    runner_cfg['custom_hooks'].append(hook)
    say(f'{title}: {images} images, {recipe.epochs} epochs of {images // recipe.batch} updates; checkpoints and log in {work_dir}')
    _run(runner_cfg, title, work_dir)
    say(f'{title}: finished, {finished}')
    return finished


def find(config: str) -> Path:
    """A file, or the config of that name."""
    if Path(config).is_file():
        return Path(config)
    folder = shipped('configs') / 'pretrain'
    path = folder / f'{config.removesuffix(".py")}.py'
    if not path.is_file():
        raise ConfigError(f'{config}: no such file, and no pretraining config of this name.{nearest(config, names())}')
    return path


def names() -> list[str]:
    return sorted(p.stem for p in (shipped('configs') / 'pretrain').glob('*.py'))


def read(path: Path, options: Options):
    """The config with the user's options merged and every key checked."""
    from mmengine.config import Config

    from . import config_keys
    from .registry import MODELS, TRANSFORMS
    cfg = Config.fromfile(path)
    missing = [key for key in ('model', 'view', 'mask', 'pretrain') if key not in cfg]
    if missing:
        raise ConfigError(f'{path} has no {missing[0]}: a pretraining config has model, view, mask and pretrain')
    config_keys.merge(cfg, _named(cfg, options), {'model': MODELS, 'view': TRANSFORMS, 'mask': TRANSFORMS})
    config_keys.check(cfg.model, MODELS, 'model')
    config_keys.check(cfg.view, TRANSFORMS, 'view')
    config_keys.check(cfg.mask, TRANSFORMS, 'mask')
    return cfg


def _named(cfg, options: Options) -> dict:
    """Options of the command line that are keys of the config, by key."""
    for key in options.cfg_options:
        first, _, rest = key.partition('.')
        if first == 'pretrain' and rest in {f.name for f in fields(Recipe)}:
            cfg.pretrain.setdefault(rest, None)
    named = {'pretrain.amp': options.amp, 'model.target.checkpoint': options.tokenizer}
    if options.amp:
        cfg.pretrain.setdefault('amp', None)
    return dict(options.cfg_options) | {key: value for key, value in named.items() if value is not None}


def recipe_of(cfg) -> Recipe:
    known = {f.name for f in fields(Recipe)}
    for key in cfg.pretrain:
        if key not in known:
            raise ConfigError(f'pretrain.{key}: there is no such setting.{nearest(key, known)}')
    missing = [name for name in ('data', 'batch', 'lr') if name not in cfg.pretrain]
    if missing or not (cfg.pretrain.get('epochs') or cfg.pretrain.get('updates')):
        raise ConfigError(f'pretrain.{(missing or ["epochs"])[0]} is missing: the config must say it')
    recipe = Recipe(**cfg.pretrain)
    if (recipe.epochs or recipe.updates) < 1 or recipe.batch < 1 or recipe.lr <= 0:
        raise ConfigError(f'pretrain: epochs={recipe.epochs}, updates={recipe.updates}, batch={recipe.batch}, lr={recipe.lr} '
                          'must be positive')
    return recipe


def in_epochs(recipe: Recipe, images: int) -> Recipe:
    """The recipe with its lengths in epochs of so many images."""
    if images < recipe.batch:
        raise DataError(f'{images} images are fewer than the batch of {recipe.batch}: give more images, or '
                        f'--cfg-options pretrain.batch={images}')
    epochs = recipe.epochs or max(1, round(recipe.updates / (images // recipe.batch)))
    warmup = recipe.warmup * epochs if recipe.warmup_epochs is None else recipe.warmup_epochs
    if warmup > epochs:
        raise ConfigError(f'pretrain: a warm-up of {warmup} epochs does not fit into {epochs}; shorten both together')
    return replace(recipe, epochs=epochs, warmup_epochs=warmup, save_every=recipe.save_every or max(1, epochs // 20))


def runner_config(cfg, recipe: Recipe, options: Options, folder: str, work_dir: Path, title: str) -> dict:
    """What mmengine's Runner is built from."""
    from .checkpoints.spec import IMAGENET
    per_device, accumulation = split_batch(recipe, _world_size(options.launcher))
    model = dict(cfg.model)
    model['data_preprocessor'] = {name: model['encoder'].get(name, IMAGENET[name]) for name in ('mean', 'std')}
    view, mask = fit_to_encoder(cfg)
    dataset = dict(type='cae_bench.PretrainImages', data_root=folder, view=view, mask=mask, in_memory=recipe.in_memory,
                   limit=recipe.limit)
    loader = dict(batch_size=per_device, num_workers=recipe.workers, persistent_workers=recipe.workers > 0, dataset=dataset,
                  drop_last=True, pin_memory=_backend() == 'nccl', collate_fn=dict(type='default_collate'),
                  sampler=dict(type='cae_bench.UpdateSampler', images_per_update=recipe.batch))
    optimizer = dict(type='AdamW', lr=recipe.lr, betas=tuple(recipe.betas), weight_decay=recipe.weight_decay, fused=True)
    hooks = [dict(type='cae_bench.PretrainLog', title=title, interval=recipe.log_every, tensorboard=options.tensorboard)]
    if options.knn:
        hooks.append(dict(type='cae_bench.OnlineKNN', data_root=folder, every=options.knn))
    if options.pictures:
        hooks.append(dict(type='cae_bench.EpochPicture', every=options.pictures))
    return dict(
        model=model, train_dataloader=loader, work_dir=str(work_dir), experiment_name=title, custom_hooks=hooks,
        train_cfg=dict(type='cae_bench.PretrainLoop', max_epochs=recipe.epochs, max_corrupt=options.max_corrupt),
        optim_wrapper=dict(type='cae_bench.PretrainOptimWrapper', optimizer=optimizer, amp=recipe.amp,
                           max_norm=recipe.clip_grad, max_skips=recipe.max_skips, accumulative_counts=accumulation,
                           constructor='cae_bench.LayerDecayOptimWrapperConstructor',
                           paramwise_cfg=dict(no_decay=tuple(recipe.no_decay))),
        param_scheduler=[dict(type=recipe.schedule, end=recipe.epochs, warmup_epochs=recipe.warmup_epochs,
                              min_lr=recipe.min_lr, convert_to_iter_based=True)],
        default_hooks=dict(runtime_info=None, timer=None, logger=None, checkpoint=None),     # ours log and save
        randomness=dict(seed=options.seed), launcher=LAUNCHERS[options.launcher],
        env_cfg=dict(cudnn_benchmark=True, dist_cfg=dict(backend=_backend())), default_scope='cae_bench')


def split_batch(recipe: Recipe, devices: int) -> tuple[int, int]:
    """(images on a device at a time, accumulation steps) whose product with the devices is the batch."""
    if recipe.batch % devices:
        raise ConfigError(f'pretrain.batch={recipe.batch} cannot be shared by {devices} processes: change one of them')
    share = recipe.batch // devices
    per_device = max(n for n in range(1, min(recipe.per_device, share) + 1) if share % n == 0)
    return per_device, share // per_device


def fit_to_encoder(cfg) -> tuple[dict, dict]:
    """View and mask with the size and grid of the encoder filled in, unless the config says them."""
    from .models.settings import pair
    encoder = cfg.model.encoder
    size = pair(encoder.get('img_size', 224))
    patch = encoder.get('patch_size', 16)
    if size[0] != size[1]:
        raise ConfigError(f'model.encoder.img_size={size}: pretraining crops are square')
    if size[0] % patch:
        raise ConfigError(f'model.encoder.img_size={size[0]} is not a multiple of patch_size={patch}: '
                          f'take {size[0] // patch * patch or patch}')
    view = dict(dict(type='cae_bench.TwoViews', size=size[0]), **cfg.view)
    mask = dict(dict(type='cae_bench.BlockMask', grid=(size[0] // patch, size[1] // patch)), **cfg.mask)
    return view, mask


def _settings(cfg, name: str, options: Options) -> str:
    """What a run must be continued with, as text: kept in its checkpoints."""
    idle = ('per_device', 'workers', 'in_memory', 'save_every', 'milestones', 'log_every', 'max_skips')
    header = {k: v for k, v in cfg.pretrain.items() if k not in idle}
    parts = dict(model=cfg.model, view=cfg.view, mask=cfg.mask, pretrain=dict(header, data=name), seed=options.seed)
    return json.dumps(parts, indent=1, sort_keys=True, default=str)


def _found(work_dir: Path, settings: str, resume: bool) -> Path | None:
    """The checkpoint to go on from; raises where the folder holds the run of another config."""
    from .engine import pretrain_files as files
    newest = files.newest(work_dir)
    if newest is None:
        return None
    if not resume:
        raise ConfigError(f'{work_dir} holds a run already: leave --no-resume out to go on, or choose another folder with -o.')
    there = _flat(json.loads(files.read(newest)['config']))
    here = _flat(json.loads(settings))
    differ = [f'{k}: {there.get(k, "absent")} there, {here.get(k, "absent")} now' for k in sorted(there.keys() | here.keys())
              if there.get(k) != here.get(k) and not k.endswith('target.checkpoint')]
    if differ:
        raise ConfigError(f'{work_dir} holds a run with other settings ({"; ".join(differ[:6])}'
                          f'{f"; {len(differ) - 6} more" if len(differ) > 6 else ""}). Give those, or another folder with -o.')
    return newest


def _flat(node, prefix: str = '') -> dict:
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
        raise ConfigError(f'no folder for data set {default!r}. Add --data {default}=DIR, or --data NAME=DIR for other images.')
    from .datasets.scenes import make_scenes
    folder = Path('data/scenes')
    if not folder.exists():
        say(f'draws the embedded scenes into {folder}')
    return default, str(make_scenes(folder))


def _run(cfg: dict, title: str, work_dir: Path) -> None:
    from mmengine.config import Config

    from .engine import cpu_processes
    from .engine.runner import QuietRunner
    cfg = cfg | cpu_processes.join({'pytorch': 'torchrun'}.get(cfg['launcher'], cfg['launcher']))
    with prints_go_to(work_dir / 'printed.log'):
        QuietRunner.from_cfg(Config(cfg)).train()


def _count(folder: str, limit: int | None) -> int:
    from .datasets import files
    from .datasets.pretrain import training_folder
    place = training_folder(Path(folder).expanduser())
    images = sum(1 for _ in files.walk(place))
    if not images:
        raise DataError(f'{place} holds no images ({" ".join(files.IMAGES)}): give a folder of images.')
    return min(images, limit or images)


def _world_size(launcher: str) -> int:
    if launcher not in LAUNCHERS:
        raise ConfigError(f'--launcher {launcher}: choose one of {", ".join(LAUNCHERS)}')
    variable = {'none': None, 'torchrun': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS'}[launcher]
    if variable and variable not in os.environ:
        raise ConfigError(f'--launcher {launcher}: {variable} is not set; start through '
                          + ('torchrun --nproc_per_node=N -m cae_bench pretrain ...' if launcher == 'torchrun' else 'srun'))
    return int(os.environ[variable]) if variable else 1


def _backend() -> str:
    import torch
    return 'nccl' if torch.cuda.is_available() else 'gloo'
