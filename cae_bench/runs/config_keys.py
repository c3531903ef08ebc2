"""A misspelt key of a config is named, with the nearest that exists, before anything is built from it."""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import fields

from mmengine.config import Config
from mmengine.registry import Registry

from ..checkpoints import ViTSpec
from ..errors import ConfigError, nearest
from . import places
from .header import Header

HEADER = 'benchmark.'


def merge(cfg: Config, options: dict, registries: dict[str, Registry]) -> None:
    """Sets dotted keys, {'model.align_weight': 1.0}; a key must be there already, or be one its class takes.

    registries: top-level key -> where the classes below it are registered.

    Raises:
        ConfigError: no such key, or text where a bool, a number or a list stands.
    """
    for key, value in options.items():
        registry = registries.get(key.split('.')[0])
        place, last = _parent(cfg, key, registry)
        if str(last) not in _known(place, registry):
            raise ConfigError(f'--cfg-options {key}: there is no {last!r}.{nearest(last, _known(place, registry))}')
        check_type(cfg, key, value)
        place[last] = value


def check_type(cfg: Config, key: str, value) -> None:
    """Raises ConfigError for text where the config, or a default of its class, has a bool, a number or a list.

    Text is true whatever it says: `drop_last=no` would drop. None is always taken: it switches things off.
    """
    place, last = _parent(cfg, key)
    kind = _kind(_present(place, last))
    if value is None or kind is None or _kind(value) == kind:
        return
    allowed = {
        'bool': value in (0, 1) and not isinstance(value, str),
        'number': isinstance(value, (list, tuple)) and _kind(value) != 'list',  # img_size=[224,336]
        'numbers': _kind(value) == 'number',  # out_indices=-1
        'list': isinstance(value, (list, tuple)),
        'dict': False,
    }
    if not allowed[kind]:
        expected = {
            'bool': 'True or False',
            'number': 'a number',
            'numbers': 'numbers, e.g. [1,2]',
            'list': 'a list, e.g. [a,b]',
            'dict': f'a key below it, e.g. {key}.KEY={value}',
        }[kind]
        raise ConfigError(f'--cfg-options {key}={value}: expected {expected}')


def _kind(value) -> str | None:
    """'bool', 'number', 'numbers' (a list of them), 'list', 'dict'; None for text and all else, which says no type."""
    if isinstance(value, bool):
        return 'bool'
    if isinstance(value, (int, float)):
        return 'number'
    if isinstance(value, (list, tuple)):
        return 'numbers' if value and all(_kind(item) == 'number' for item in value) else 'list'
    return 'dict' if isinstance(value, dict) else None


def _present(place, last):
    """What stands at the key; where nothing does, the default of the class (of this project) that takes it."""
    if isinstance(place, (list, tuple)):
        return place[last]
    if last in place or not str(place.get('type', '')).startswith('cae_bench.'):
        return place.get(last)
    from .. import registry

    children = [r for r in vars(registry).values() if isinstance(r, Registry)]
    cls = next(filter(None, (r.get(place['type']) for r in children)), None)
    parameter = inspect.signature(cls).parameters.get(last) if cls else None
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def fits(cfg: Config, key: str) -> bool:
    """Whether a config has the place that a dotted key sets something in.

    A header has no defaults that could be set: what a config does not say there does not apply to it.
    """
    if key.startswith(HEADER) and cfg.benchmark.get(key.removeprefix(HEADER)) is None:
        return False
    try:
        _parent(cfg, key)
    except ConfigError:
        return False
    return True


def check_places(keys: Iterable[str], cfgs: Sequence[Config], top: set[str]) -> None:
    """Raises ConfigError for a key whose place none of the configs has, or that is not below one of `top`.

    What a config computes with, before it says what a Runner is built from, is a setting no longer once it is read.
    """
    for key in keys:
        first = key.split('.')[0]
        if first not in top:
            why = (
                f'{first} is a variable of the recipe and has been used by now: set what it stands for'
                if any(first in cfg for cfg in cfgs)
                else f'there is no {first!r}.{nearest(first, top)}'
            )
            raise ConfigError(f'--cfg-options {key}: {why}')
        if cfgs and not any(fits(cfg, key) for cfg in cfgs):
            _parent(cfgs[0], key)
            raise ConfigError(f'--cfg-options {key}: {_why_absent(cfgs[0], key.removeprefix(HEADER))}')


def _why_absent(cfg: Config, key: str) -> str:
    """Why a config's header lacks a key."""
    header = Header.of(cfg)
    if key != 'global_batch':
        return f'the header of {header.config} has no {key!r}.{nearest(key, cfg.benchmark)}'
    if not header.frozen:
        return f'{header.config} is for one device and has no published batch. Use train_dataloader.batch_size=N'
    own = [f'model.probes.{name}.batch_size=N' for name, probe in cfg.model.probes.items() if 'batch_size' in probe]
    batches = f'heads on frozen features have batches of their own, {", ".join(own)}' if own else 'nothing is trained'
    return f'{header.config} has no published batch: {batches}'


def _parent(cfg: Config, key: str, registry: Registry | None = None) -> tuple:
    """(container, key) of a dotted key; raises ConfigError where the way to it ends early."""
    try:
        return places.find(cfg, key)
    except places.NoSuchPlace as missing:
        known, part = _known(missing.container, registry), missing.part
        hint = ' The config leaves it out; say it in a config file.' if part in known else nearest(part, known)
        raise ConfigError(f'--cfg-options {key}: there is no {part!r}.{hint}') from None


def check(node: dict, registry: Registry, where: str, default: str | None = None) -> None:
    """Every key of a config dict is an argument of its class; so for the dicts inside it."""
    if not isinstance(node, dict):
        return
    known = _arguments(node.get('type', default), registry)
    for key in node:
        if known and key not in known:
            raise ConfigError(
                f'{where}.{key}: {str(node.get("type", default)).removeprefix("cae_bench.")} has no such setting.'
                f'{nearest(key, known)}'
            )
        check(node[key], registry, f'{where}.{key}', 'cae_bench.ViT' if key == 'encoder' else None)


def _known(place, registry: Registry | None) -> set[str]:
    named = place.get('type') if isinstance(place, (dict, Config)) else None
    return set(places.names(place)) | _arguments(named, registry)


def _arguments(name: str | None, registry: Registry | None) -> set[str]:
    """Arguments of a registered class; empty where it cannot be told."""
    cls = registry.get(name) if registry is not None and name else None
    if name and registry is not None and cls is None:
        known = [n for n in registry.module_dict if '.' not in n]
        raise ConfigError(f'there is no {name}.{nearest(name.removeprefix("cae_bench."), known)}')
    if cls is None:
        return set()
    known, open_ended = {'type'}, False
    for parameter in inspect.signature(cls).parameters.values():
        known.add(parameter.name)
        open_ended |= parameter.kind is inspect.Parameter.VAR_KEYWORD
    if not open_ended:
        return known
    return known | {f.name for f in fields(ViTSpec)} if cls.__name__ == 'ViT' else set()
