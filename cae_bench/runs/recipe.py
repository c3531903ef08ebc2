"""From a task and a checkpoint to a resolved mmengine Config. Three kinds of run, from shared steps."""

from dataclasses import dataclass

from mmengine.config import Config

from ..checkpoints import Checkpoint
from ..datasets.data_info import DataInfo
from ..distributed.launchers import LAUNCHERS, world_size
from ..errors import ConfigError
from ..probing.shared_pass import set_grid
from ..tasks import Task
from ..training import tensorboard
from . import config_keys, eval_only, global_batch, input_size, places, precision, pretraining_length, probe_settings
from .find import find_config, read
from .fit import backbone, fit, values
from .header import Header
from .options import Options
from .shorten import shorten
from .taps import check_taps


@dataclass(frozen=True)
class _Request:
    """What a config is built for."""

    task: Task
    checkpoint: Checkpoint
    data: DataInfo
    options: Options


def build(task: Task, checkpoint: Checkpoint, data: DataInfo, options: Options) -> Config:
    """The config with backbone, data, seed and the user's own overrides filled in; nothing is left to defaults.

    Its header (`Header.of`) has what was found on the way: how the batch is made here, which sizes were rounded.

    Raises:
        ConfigError: no such recipe, or a setting that it cannot take.
        CheckpointError: --eval-only, and the file holds no network for this task.
    """
    path = find_config(task.protocol, checkpoint.spec, options.recipe)
    cfg = Config(read(path).to_dict(), filename=str(path))
    header = Header.of(cfg).note(cfg, config=f'{task.protocol}/{path.name}')
    request = _Request(task, checkpoint, data, options)
    if options.eval_only:
        return _evaluated(cfg, header, request)
    return _frozen(cfg, header, request) if header.frozen else _trained(cfg, header, request)


def _frozen(cfg: Config, header: Header, request: _Request) -> Config:
    """Heads on frozen features."""
    options = request.options
    _fit(cfg, header, request)
    precision.of_forward(cfg, options.amp)
    axes = probe_settings.grid_axes(cfg)
    cfg = set_grid(cfg, **{axis: values for axis, values in options.grid.items() if axis in axes})
    _customise(cfg, header, request)
    probe_settings.check(cfg.model.probes, request.checkpoint.spec.num_layers)
    return cfg


def _trained(cfg: Config, header: Header, request: _Request) -> Config:
    """Fine-tuning, segmentation, detection."""
    options = request.options
    published = global_batch.as_published(cfg, header)
    _fit(cfg, header, request)
    precision.of_training(cfg, options.amp)
    pretraining_length.apply(cfg, header, request.checkpoint, options.epochs_pretrained, options.cfg_options)
    header = _customise(cfg, header, request)
    global_batch.keep(cfg, header, world_size(options.launcher), published)
    global_batch.by_updates(cfg, header)
    return cfg


def _evaluated(cfg: Config, header: Header, request: _Request) -> Config:
    """A trained network under the recipe's test."""
    precision.check_evaluation(request.options.amp)
    _fit(cfg, header, request)
    header = _customise(cfg, header, request)
    eval_only.check(cfg, header, request.checkpoint, request.data.classes)
    eval_only.strip_training(cfg)
    return cfg


def _fit(cfg: Config, header: Header, request: _Request) -> None:
    """Schedule, backbone, data, seed and launcher; in place."""
    options = request.options
    shorten(cfg, header, options.shorten)
    cfg.model.backbone = backbone(cfg.model.backbone, request.checkpoint, options.eval_only)
    fit(cfg, header, values(request.checkpoint.spec, request.data, options))
    cfg.randomness = dict(seed=options.seed)
    world_size(options.launcher)  # raises for one that did not start this process
    cfg.launcher = LAUNCHERS[options.launcher]


def _customise(cfg: Config, header: Header, request: _Request) -> Header:
    """What every kind of run lets the user change; in place. Returns the header after it."""
    options, spec = request.options, request.checkpoint.spec
    if options.skip_corrupt:
        _skip_corrupt(cfg, request.task)
    if options.tensorboard:
        tensorboard.add_to(cfg)
    if options.input_size is not None:
        input_size.set_all(cfg, header, options.input_size, spec.patch_size)
    # Tasks asked for together share the options; each takes those it has a place for.
    fitting = {key: value for key, value in options.cfg_options.items() if config_keys.fits(cfg, key)}
    for key, value in fitting.items():
        config_keys.check_type(cfg, key, value)
    cfg.merge_from_dict({places.by_position(cfg, key): value for key, value in fitting.items()})
    header = input_size.fit(cfg, Header.of(cfg), spec.patch_size)
    check_taps(cfg.model.backbone, spec.num_layers, request.checkpoint.source)
    return header


def _skip_corrupt(cfg: Config, task: Task) -> None:
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        if 'skip_corrupt' not in loader.dataset:
            raise ConfigError(
                f'--skip-corrupt: {task} needs every image; only protocols on frozen features can leave '
                f'some out. Repair the files that cae-bench data check {task.dataset}=DIR names.'
            )
        loader.dataset.skip_corrupt = True
