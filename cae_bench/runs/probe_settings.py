"""What the settings of probes on frozen features may be: a wrong one is named before anything is computed."""

import inspect
import math
from typing import Any

from mmengine.config import Config

from ..errors import ConfigError, nearest
from ..probing.features import WIDTH
from ..probing.history import Select
from ..probing.model import TRAINING
from ..probing.trainer import SCHEDULES
from ..registry import MODELS, OPTIMIZERS
from . import config_keys

# Arguments that the model gives a probe; a config does not.
FROM_MODEL = {'self', 'in_dims', 'num_classes', 'cells', 'name', 'unused'}


def probes(cfg: Config) -> dict[str, Any]:
    """Settings of the heads on frozen features by name; none where a protocol trains the network."""
    return cfg.model.get('probes', {})


def grid_axes(cfg: Config) -> set[str]:
    """Names that --grid may vary here."""
    return {axis for probe in probes(cfg).values() for axis in probe.grid}


def trains_heads(cfg: Config) -> bool:
    """Whether heads on frozen features learn here; k-NN and few-shot look things up."""
    return any('optimizer' in probe for probe in probes(cfg).values())


def check(probes: dict[str, Any], num_layers: int | None) -> None:
    """Raises ConfigError for the first setting of a probe that is unknown or out of range.

    num_layers: of the backbone; None where it is not known yet.
    """
    for name, plan in probes.items():
        where = f'model.probes.{name}'
        cls = MODELS.get(plan['type'])
        if cls is None:
            raise ConfigError(f'{where}.type={plan["type"]!r}: there is no such probe.')
        _known(where, plan, {*inspect.signature(cls).parameters, *TRAINING, 'type'} - FROM_MODEL)
        _one_of(f'{where}.feature', plan['feature'], WIDTH)
        _one_of(f'{where}.select', plan.get('select', 'first'), [rule.value for rule in Select])
        for axis, values in plan['grid'].items():
            _check_axis(name, axis, values, num_layers)
        if 'optimizer' in plan:
            _check_training(where, plan)


def _check_training(where: str, plan: dict) -> None:
    least = 2 if 'bn_eps' in plan else 1  # one image has no statistics
    for key in ('batch_size', 'bn_group'):
        if not _whole(plan[key]) or plan[key] < least:
            raise ConfigError(f'{where}.{key}={plan[key]!r}: a whole number of images is needed, at least {least}.')
    config_keys.check(plan['optimizer'], OPTIMIZERS, f'{where}.optimizer')
    rule = plan['schedule']
    _one_of(f'{where}.schedule.type', rule.get('type'), SCHEDULES)
    own = {'step', 'steps_per_epoch', 'epochs', 'base'}
    _known(f'{where}.schedule', rule, {*inspect.signature(SCHEDULES[rule['type']]).parameters, 'type'} - own)


def _check_axis(name: str, axis: str, values, num_layers: int | None) -> None:
    """A list of different values that make sense on this axis of a grid."""
    if axis == 'layer' and values == 'all':
        return
    values = values if isinstance(values, (list, tuple)) else [values]
    deepest = num_layers or math.inf
    wanted, good = {
        'k': ('whole numbers from 1', lambda v: _whole(v) and v >= 1),
        'layer': (f'whole numbers from 1 to {deepest}', lambda v: _whole(v) and 1 <= v <= deepest),
        'temperature': ('numbers above 0', lambda v: _number(v) and v > 0),
        'l2': ('numbers above 0', lambda v: _number(v) and v > 0),
    }.get(axis, ('numbers of at least 0', lambda v: _number(v) and v >= 0))
    for value in values:
        if not good(value):
            raise ConfigError(f'{name}: {axis}={value} in its grid; {wanted} are needed.')
        if values.count(value) > 1:
            raise ConfigError(f'{name}: {axis}={value} stands in its grid more than once; name each value once.')


def _known(where: str, settings: dict[str, Any], known: set[str]) -> None:
    for key in settings:
        if key not in known:
            raise ConfigError(f'{where}.{key}: there is no such setting.{nearest(key, known)}')


def _one_of(where: str, value, known) -> None:
    if value not in known:
        raise ConfigError(f'{where}={value!r}: choose {", ".join(known)}.')


def _number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
