"""From a task and a checkpoint to a resolved mmengine Config: find the recipe file, fit it to backbone and data."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.config import Config, ConfigDict

from ..distributed.launchers import LAUNCHERS, world_size
from ..errors import ConfigError, nearest
from ..logs import say
from ..paths import shipped
from ..tasks import Task
from . import global_batch as effective_batch
from . import input_size, pretraining_length
from .taps import check_taps

if TYPE_CHECKING:  # importing checkpoints imports torch; listing recipes needs none
    from ..checkpoints import Checkpoint, ViTSpec


@dataclass(frozen=True)
class Options:
    """What a user may change about a run. All but `device`, `launcher`, `resume` and `tensorboard` can move a score."""

    recipe: str = 'paper'
    seed: int = 0
    device: str | None = None
    amp: str = 'fp32'
    limit: int | None = None
    input_size: int | None = None  # pixels of every view; classification only
    launcher: str = 'none'
    resume: bool = True
    overwrite: bool = False
    shorten: float = 1.0  # scales the schedule: the demo shows every protocol in minutes
    grid: dict = field(default_factory=dict)  # {'lr': [0.1, 0.3]}: a head for every combination, frozen protocols only
    share_views: bool = False  # heads trained in one pass read one crop
    skip_corrupt: bool = False  # leave out images that cannot be decoded; frozen protocols only
    tensorboard: bool = False  # moves no score
    epochs_pretrained: int | None = None  # for recipes whose constants go with it; default: what file or name say
    eval_only: bool = False  # the file's own neck and heads are scored, nothing is trained
    cfg_options: dict = field(default_factory=dict)

    def overrides(self) -> dict:
        """What was asked for beside the recipe as shipped."""
        named = {
            'limit': self.limit,
            'input_size': self.input_size,
            'shorten': self.shorten if self.shorten != 1 else None,
            'amp': self.amp if self.amp != 'fp32' else None,
            'grid': self.grid or None,
            'share_views': self.share_views or None,
            'skip_corrupt': self.skip_corrupt or None,
            'eval_only': self.eval_only or None,
        }
        return {k: v for k, v in named.items() if v is not None} | dict(self.cfg_options)


def find(protocol: str, spec: ViTSpec, recipe: str) -> Path:
    """configs/<protocol>/mini.py, or for the paper's recipe the most specific one.

    That is the one of family and arch, then of the arch, of the family's base, of any base.
    """
    folder = shipped('configs') / protocol
    names = {
        'mini': ['mini.py'],
        'paper': [f'{spec.family}_{spec.arch}.py', f'{spec.arch}.py', f'{spec.family}_vit-base.py', 'vit-base.py'],
    }
    if recipe not in names:
        raise ConfigError(f'no recipe named {recipe!r}: choose paper (as published) or mini (minutes on a laptop)')
    for name in names[recipe]:
        if (folder / name).is_file():
            return folder / name
    others = [r for r in names if any((folder / n).is_file() for n in names[r])]
    hint = f' Use --recipe {others[0]}.' if others else ''
    raise ConfigError(f'{protocol} has no {recipe} recipe for {spec.family} {spec.arch} in this version.{hint}')


def borrowed(cfg: Config, spec: ViTSpec) -> str:
    """What to say where no official recipe is known for this backbone and the constants are another's; else ''.

    Frozen protocols have one recipe for every backbone that has none of its own. `constants_of` in a config's header
    names what it took its constants from.
    """
    path, header = Path(cfg.benchmark.config), cfg.benchmark
    own, source = path.stem == f'{spec.family}_{spec.arch}', header.get('constants_of')
    frozen = header.frozen or cfg.model.backbone.get('frozen')
    if frozen or path.name == 'mini.py' or (own and not source):
        return ''
    return (
        f'no official recipe of {path.parent} is known for {spec.family} {spec.arch}: the constants are those of '
        f'{source or path.stem}'
    )


@cache
def _read(path: Path) -> Config:
    return Config.fromfile(path)


def header(path: Path) -> ConfigDict:
    """The `benchmark` dict of a recipe: version, layout, metrics, and which places to fit."""
    return _read(path).benchmark


def build(task: Task, ckpt: Checkpoint, data, options: Options) -> Config:
    """The recipe with backbone, data, seed and the user's own overrides filled in; nothing is left to defaults."""
    path = find(task.protocol, ckpt.spec, options.recipe)
    cfg = Config(_read(path).to_dict(), filename=str(path))
    cfg.benchmark.config = f'{task.protocol}/{path.name}'
    _shorten(cfg, options.shorten)
    cfg.model.backbone = _backbone(cfg.model.backbone, ckpt, options)
    _fit(cfg, _values(ckpt.spec, data, options))
    cfg.randomness = dict(seed=options.seed)
    devices = world_size(options.launcher)
    cfg.launcher = LAUNCHERS[options.launcher]
    _precision(cfg, options)
    if cfg.benchmark.frozen:
        from ..probing.shared_pass import set_grid

        cfg = set_grid(cfg, **{axis: values for axis, values in options.grid.items() if axis in grid_axes(cfg)})
    if options.skip_corrupt:
        _skip_corrupt(cfg, task)
    if options.tensorboard:
        from ..training import tensorboard

        tensorboard.add_to(cfg)
    if options.input_size is not None:
        input_size.set_all(cfg, options.input_size, ckpt.spec.patch_size)
    if not options.eval_only:
        pretraining_length.apply(cfg, ckpt, options.epochs_pretrained, options.cfg_options)
    from . import config_keys

    # Tasks asked for together share the options; each takes those it has a place for.
    fitting = {key: value for key, value in options.cfg_options.items() if config_keys.fits(cfg, key)}
    for key, value in fitting.items():
        config_keys.check_type(cfg, key, value)
    cfg.merge_from_dict(fitting)
    input_size.fit(cfg, ckpt.spec.patch_size)
    check_taps(cfg.model.backbone, ckpt.spec.num_layers, ckpt.source)
    if cfg.benchmark.frozen:
        from . import probe_settings

        probe_settings.check(cfg.model.probes, ckpt.spec.num_layers)
    if options.eval_only:
        from .eval_only import check, strip_training

        check(cfg, ckpt, data.classes)
        strip_training(cfg)
        return cfg
    effective_batch.keep(cfg, devices, published=_read(path))
    effective_batch.by_updates(cfg)
    return cfg


def overrides_of(cfg: Config, options: Options) -> dict:
    """What differs from this recipe as shipped, for the record: a task takes the options that it has a place for."""
    from . import config_keys

    grid = {axis: values for axis, values in options.grid.items() if axis in grid_axes(cfg)}
    absent = {key for key in options.cfg_options if not config_keys.fits(cfg, key)}
    if not trains_heads(cfg):
        absent.add('share_views')
    if not is_shortened(cfg, options):
        absent.add('shorten')
    kept = {k: v for k, v in options.overrides().items() if k not in absent | {'grid'}}
    return kept | ({'grid': grid} if grid else {})


def grid_axes(cfg: Config) -> set[str]:
    """Names that --grid may vary here: those of the probes of a frozen protocol."""
    return {axis for probe in probes(cfg).values() for axis in probe.grid}


def trains_heads(cfg: Config) -> bool:
    """Whether heads on frozen features learn here; k-NN and few-shot look things up."""
    return any('optimizer' in probe for probe in probes(cfg).values())


def probes(cfg: Config) -> dict:
    """Those of a frozen protocol by name; none of any other."""
    return cfg.model.get('probes', {}) if cfg.benchmark.frozen else {}


def check_options(cfgs: list[Config], options: Options) -> None:
    """Raises ConfigError for an axis of --grid or a key of --cfg-options that no task has, or an impossible number."""
    if not 0 <= options.seed < 2**32:
        raise ConfigError(f'--seed {options.seed}: choose a number from 0 to {2**32 - 1}')
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f'--limit {options.limit}: keep at least one image')
    whole = [cfg.benchmark.config.partition('/')[0] for cfg in cfgs if not is_shortened(cfg, options)]
    if options.shorten != 1 and whole:
        if len(whole) == len(cfgs):
            raise ConfigError(f'--shorten {options.shorten:g} changes no schedule of {", ".join(whole)}: leave it out')
        say(f'--shorten {options.shorten:g}: nothing to shorten in {", ".join(dict.fromkeys(whole))}')
    pretraining_length.check_used(cfgs, options.epochs_pretrained)
    axes = {axis for cfg in cfgs for axis in grid_axes(cfg)}
    for axis in set(options.grid) - axes:
        raise ConfigError(f'--grid {axis}=...: no head of these tasks has it.{nearest(axis, axes)}')
    from mmengine.runner import Runner

    from . import config_keys

    config_keys.check_places(options.cfg_options, cfgs, {*inspect.signature(Runner).parameters, 'benchmark'})


# Settings of a recipe that TimmViT knows as well.
TIMM_TAKES = {'out_indices', 'drop_path_rate', 'with_cp', 'frozen', 'img_size', 'final_norm'}


# Settings by which a recipe adds parameters to a backbone: a trained one has them already, or never had.
ADDED = {'rel_pos_bias', 'layer_scale_init_value'}


# What a backbone is. A recipe says it for the tools of others, which build a model before they look at a file.
TOLD_BY_FILE = {'type', 'arch', 'spec', 'checkpoint', 'checkpoint_sha256', 'qkv_bias', 'pos_embed', 'layer_scale'}


def _backbone(own: dict, ckpt: Checkpoint, options: Options) -> dict:
    """The recipe says how the backbone is used (taps, drop path, frozen), the checkpoint what it is."""
    kept = {k: v for k, v in own.items() if k not in TOLD_BY_FILE}
    if options.eval_only:
        kept = {k: v for k, v in kept.items() if k not in ADDED}
    if ckpt.timm_name:
        beyond = sorted(set(kept) - TIMM_TAKES)
        if beyond:
            raise ConfigError(
                f'{ckpt.source}: this recipe sets {", ".join(beyond)}, which models that only timm can '
                'build do not have. Use --recipe mini'
            )
        return dict(
            type='cae_bench.TimmViT',
            name=ckpt.timm_name,
            pretrained=ckpt.source.startswith('timm:'),
            checkpoint_sha256=ckpt.sha256,
            **kept,
        )
    weights, sha256 = (ckpt.source, ckpt.sha256) if ckpt.state_dict is not None else (None, None)
    return dict(
        type=own.get('type', 'cae_bench.ViT'),
        spec=ckpt.spec.to_dict(),
        checkpoint=weights,
        checkpoint_sha256=sha256,
        **kept,
    )


def _values(spec: ViTSpec, data, options: Options) -> dict:
    values = dict(
        embed_dims=spec.embed_dims,
        num_layers=spec.num_layers,
        num_heads=spec.num_heads,
        mean=spec.mean,
        std=spec.std,
        mean255=[255 * m for m in spec.mean],
        std255=[255 * s for s in spec.std],
        data_root=data.root,
        classes=data.classes,
        num_classes=len(data.classes),
        strides=_strides(spec.patch_size, 4),
        anchor_strides=_strides(spec.patch_size, 5),
        seed=options.seed,
        limit=options.limit,
    )
    return values | data.extra


def _strides(patch_size: int, levels: int) -> list[float]:
    """Of a pyramid over the patches, finest first: a quarter of a patch, then doubling."""
    return [stride // 4 if stride % 4 == 0 else stride / 4 for stride in (patch_size * 2**n for n in range(levels))]


def _fit(cfg: Config, values: dict) -> None:
    for path, what in cfg.benchmark.get('fit', {}).items():
        if what not in values:
            raise ConfigError(f'{cfg.filename}: fit asks for {what!r}, which this data set or backbone does not tell')
        place, last = _place(cfg, path)
        value = values[what]
        old = place.get(last) if isinstance(last, str) else place[last]
        many = isinstance(old, (list, tuple)) and not isinstance(value, (list, tuple))
        place[last] = [value] * len(old) if many else value  # in_channels=[768] * 4 is fitted element by element


def _shorten(cfg: Config, factor: float) -> None:
    """Scales every length of the schedule together."""
    if factor <= 0:
        raise ConfigError(f'--shorten {factor:g}: give a factor above 0, e.g. 0.1 for a tenth of the schedule')
    for path, length in _shortened(cfg, factor).items():
        place, last = _place(cfg, path)
        place[last] = length


def _shortened(cfg: Config, factor: float) -> dict[str, int | float]:
    """{place: new length} of those in the header's `schedule` that a factor changes, and of warm-ups of heads with them.

    Empty where there is nothing to shorten: one pass over the data fills a bank for k-NN.
    """
    lengths = {}
    for path in cfg.benchmark.get('schedule', ()):
        place, last = _place(cfg, path)
        if (length := max(1, round(place[last] * factor))) != place[last]:
            lengths[path] = length
    for name, probe in probes(cfg).items():
        if 'schedule' in probe and 'train_cfg.max_epochs' in lengths:
            ratio = lengths['train_cfg.max_epochs'] / cfg.train_cfg.max_epochs
            lengths[f'model.probes.{name}.schedule.warmup_epochs'] = probe.schedule.warmup_epochs * ratio
    return lengths


def is_shortened(cfg: Config, options: Options) -> bool:
    """Whether --shorten changes this task's schedule; nothing else may be recorded of it."""
    shipped_recipe = _read(shipped('configs') / cfg.benchmark.config)
    return not options.eval_only and bool(_shortened(shipped_recipe, options.shorten))


def _place(cfg: Config, path: str) -> tuple:
    """('a.0.b') -> (cfg.a[0], 'b'): where a dotted path points, and the last step to it."""
    *parents, last = (int(part) if part.isdigit() else part for part in path.split('.'))
    place = cfg
    for part in parents:
        place = place[part]
    return place, last


def _skip_corrupt(cfg: Config, task: Task) -> None:
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        if 'skip_corrupt' not in loader.dataset:
            raise ConfigError(
                f'--skip-corrupt: {task} needs every image; only protocols on frozen features can leave '
                f'some out. Repair the files that cae-bench data check {task.dataset}=DIR names.'
            )
        loader.dataset.skip_corrupt = True


def _precision(cfg: Config, options: Options) -> None:
    amp = options.amp
    if amp == 'fp32':
        return
    if options.eval_only:
        raise ConfigError(f'--eval-only scores in fp32, as every run does: leave --amp {amp} out')
    dtype = {'bf16': 'bfloat16', 'fp16': 'float16'}.get(amp)
    if dtype is None:
        raise ConfigError(f'--amp {amp}: choose fp32, bf16 or fp16')
    if cfg.benchmark.frozen:
        cfg.model.precision = dtype  # of the frozen forward; heads stay in float32
    else:
        wrapper = dict(fp16=dict(type='AmpOptimWrapper', dtype=dtype), bf16=dict(type='cae_bench.BFloat16OptimWrapper'))
        cfg.optim_wrapper = dict(cfg.optim_wrapper, **wrapper[amp])


def check_precision(cfg: Config, amp: str) -> None:
    """Raises ConfigError where the devices at hand cannot train a recipe in this precision; says where it is slow."""
    import torch

    from ..training.bfloat16 import say_if_imitated

    say_if_imitated(amp)
    if amp == 'fp16' and not cfg.benchmark.frozen and not torch.cuda.is_available():
        raise ConfigError(
            f'--amp fp16: {cfg.benchmark.config} trains in it on CUDA only, and no CUDA device is '
            'visible here. Leave --amp out, or use --amp bf16'
        )


# How fast things are read and what is logged.
_SPEED_AND_LOGS = {
    'num_workers',
    'persistent_workers',
    'pin_memory',
    'prefetch_factor',
    'log_processor',
    'log_level',
    'visualizer',
    'vis_backends',
    'work_dir',
    'experiment_name',
}
# These, where things lie, and what scoring_parts names apart: never what the score will be.
_IDLE_KEYS = _SPEED_AND_LOGS | {
    'data_root',
    'checkpoint',
    'checkpoint_sha256',
    'default_hooks',
    'launcher',
    'env_cfg',
    'randomness',
    'seed',
    'resume',
    'load_from',
    'benchmark',
}


def scoring_parts(cfg: Config, ckpt: Checkpoint, data, options: Options) -> dict:
    """Everything that can move the score except the seed; two runs with equal parts are repetitions of each other."""
    return dict(
        checkpoint=ckpt.identity,
        protocol=cfg.benchmark.config,
        version=cfg.benchmark.version,
        recipe=options.recipe,
        config=_without_idle(cfg.to_dict()),
        overrides=_that_move_scores(overrides_of(cfg, options)),
        data=data.content_hash,
        limit=options.limit,
        precision=options.amp,
    )


def _that_move_scores(overrides: dict) -> dict:
    """Less what says how fast the data are read and what is logged: a key of the config, or an entry of one."""
    return {key: value for key, value in overrides.items() if not _SPEED_AND_LOGS & set(key.split('.'))}


def _without_idle(value):
    if isinstance(value, dict):
        return {k: _without_idle(v) for k, v in value.items() if k not in _IDLE_KEYS}
    if isinstance(value, (list, tuple)):
        return [_without_idle(v) for v in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
