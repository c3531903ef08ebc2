"""What a command changes of the recipes as shipped: checked against its tasks, and kept in their records."""

import inspect
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from ..errors import ConfigError, nearest
from ..logs import say
from . import config_keys, pretraining_length
from .header import Header
from .options import Options
from .probe_settings import grid_axes, trains_heads
from .shorten import is_shortened


def overrides_of(cfg: Config, options: Options) -> dict[str, Any]:
    """Options recorded for this task: only those its config can take."""
    grid = {axis: values for axis, values in options.grid.items() if axis in grid_axes(cfg)}
    absent = {key for key in options.cfg_options if not config_keys.fits(cfg, key)}
    if not trains_heads(cfg):
        absent.add('share_views')
    if not is_shortened(Header.of(cfg), options):
        absent.add('shorten')
    kept = {k: v for k, v in options.overrides().items() if k not in absent | {'grid'}}
    return kept | ({'grid': grid} if grid else {})


def check_options(cfgs: Sequence[Config], options: Options) -> None:
    """Raises ConfigError for an axis of --grid or a key of --cfg-options that no task has, or an impossible number."""
    if not 0 <= options.seed < 2**32:
        raise ConfigError(f'--seed {options.seed}: choose a number from 0 to {2**32 - 1}')
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f'--limit {options.limit}: keep at least one image')
    headers = [Header.of(cfg) for cfg in cfgs]
    whole = [header.config.partition('/')[0] for header in headers if not is_shortened(header, options)]
    if options.shorten != 1 and whole:
        if len(whole) == len(cfgs):
            raise ConfigError(f'--shorten {options.shorten:g} changes no schedule of {", ".join(whole)}: leave it out')
        say(f'--shorten {options.shorten:g}: nothing to shorten in {", ".join(dict.fromkeys(whole))}')
    pretraining_length.check_used(headers, options.epochs_pretrained)
    axes = {axis for cfg in cfgs for axis in grid_axes(cfg)}
    for axis in set(options.grid) - axes:
        raise ConfigError(f'--grid {axis}=...: no head of these tasks has it.{nearest(axis, axes)}')
    config_keys.check_places(options.cfg_options, cfgs, {*inspect.signature(Runner).parameters, 'benchmark'})
