"""What the user says of a pretraining: options, and the config that they are merged into."""

from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..errors import ConfigError
from ..pretraining.recipe import Recipe
from ..registry import MODELS, TRANSFORMS
from ..runs import config_keys


@dataclass(frozen=True)
class PretrainOptions:
    """What a user may say about a pretraining; configs say the rest."""

    resume: bool = True
    amp: str | None = None  # None: as the config says
    seed: int = 0
    device: str | None = None
    launcher: str = 'none'
    max_corrupt: int = 0  # unreadable images to pass over before stopping
    tokenizer: str | None = None  # file of weights
    knn: int | None = None  # epochs between k-NN scores
    pictures: int | None = None  # epochs between pictures
    tensorboard: bool = False
    save_minutes: float | None = 30  # between checkpoints, beside those that the config names
    save_updates: int | None = None  # the same in updates
    cfg_options: dict[str, Any] = field(default_factory=dict)


def read(path: Path, options: PretrainOptions) -> Config:
    """The config with the user's options merged and every key checked.

    Raises:
        ConfigError: the file is no such config, or an option or key that it cannot take.
    """
    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # whatever a file of the user's may hold
        raise ConfigError(
            f'{path} is no config ({type(error).__name__}: {error}): give a Python file like those of '
            'configs/pretrain, or one of their names'
        ) from error
    missing = [key for key in ('model', 'view', 'mask', 'pretrain') if key not in cfg]
    if missing:
        raise ConfigError(f'{path} has no {missing[0]}: a pretraining config has model, view, mask and pretrain')
    config_keys.merge(cfg, _settings_by_key(cfg, options), {'model': MODELS, 'view': TRANSFORMS, 'mask': TRANSFORMS})
    config_keys.check(cfg.model, MODELS, 'model')
    config_keys.check(cfg.view, TRANSFORMS, 'view')
    config_keys.check(cfg.mask, TRANSFORMS, 'mask')
    return cfg


def _settings_by_key(cfg: Config, options: PretrainOptions) -> dict[str, Any]:
    """What the user set, by key of the config. Keys of `pretrain` that the file leaves out are put there."""
    settings = dict(options.cfg_options)
    if options.amp:
        settings['pretrain.amp'] = options.amp
    if options.tokenizer:
        if 'checkpoint' not in (cfg.model.get('target') or {}):
            raise ConfigError(
                f'--tokenizer {options.tokenizer}: what this config predicts needs no file; leave the option out'
            )
        settings['model.target.checkpoint'] = options.tokenizer
    defaults = {f.name: None if f.default is MISSING else f.default for f in fields(Recipe)}
    for key in settings:
        first, _, rest = key.partition('.')
        if first == 'pretrain' and rest in defaults:
            cfg.pretrain.setdefault(rest, defaults[rest])
    for length, other in (('epochs', 'updates'), ('updates', 'epochs')):  # one of the two says how long
        if f'pretrain.{length}' in settings and f'pretrain.{other}' not in settings:
            cfg.pretrain.pop(other, None)
    return settings
