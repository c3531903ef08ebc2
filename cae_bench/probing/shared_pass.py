"""Frozen protocols of one run on one data set become one config, and so one pass over the data."""

import copy

from mmengine.config import Config

from ..errors import ConfigError

# What a protocol may have to itself; in all else those of a pass must agree.
OWN = (
    'model.probes',
    'train_dataloader.dataset.views',
    'train_dataloader.dataset.once',
    'train_dataloader.dataset.held_out',
    'train_cfg',
    'benchmark',
    'default_hooks',
    'custom_hooks',
    'work_dir',
    'experiment_name',
    'resume',
)
HELD_OUT = 0.1  # of train, as CAPI's honest protocol has it


def join(configs: list[Config]) -> Config:
    """One config with the probes and views of all.

    Raises:
        ConfigError: they disagree on something one pass can have only once: backbone, input, seed, epochs ...
    """
    joined = Config(copy.deepcopy(configs[0].to_dict()), filename=configs[0].filename)
    for other in configs[1:]:
        _agree(joined, other)
        if _trained(other):
            joined.train_cfg = copy.deepcopy(other.train_cfg)
        joined.model.probes.update(copy.deepcopy(other.model.probes))
        _join_dataset(joined.train_dataloader.dataset, other.train_dataloader.dataset)
    return joined


def share_views(config: Config) -> Config:
    """All trained probes read the view of the first one: half the forwards, another crop than some published with."""
    shared = copy.deepcopy(config)
    trained = [plan for plan in shared.model.probes.values() if 'optimizer' in plan]
    if trained:
        views = shared.train_dataloader.dataset.views
        keep = trained[0]['view']
        for plan in trained:
            if plan['view'] != keep:
                views.pop(plan['view'], None)
                plan['view'] = keep
    return shared


def set_grid(config: Config, **axes) -> Config:
    """Gives every probe these axes of its grid (`lr=[...]`, `k=[...]`), whichever of them it has.

    Where the grid of a trained probe, from the command line or the recipe's own, has several cells, a fixed tenth of
    train is held out for a second set of the same heads: a choice on held-out images then stands beside that on
    validation images.
    """
    changed = copy.deepcopy(config)
    plans = changed.model.probes.values()
    for axis in axes:
        if not any(axis in plan.grid for plan in plans):
            known = sorted({a for plan in plans for a in plan.grid})
            raise ConfigError(f'--grid {axis}=...: no probe here has this axis; known: {", ".join(known) or "none"}.')
    for plan in plans:
        plan.grid.update({k: list(v) for k, v in axes.items() if k in plan.grid})
        if 'optimizer' in plan and _is_choice(plan.grid):
            plan.hold_out, changed.train_dataloader.dataset.held_out = True, HELD_OUT
    return changed


def passes(configs: list[Config]) -> list[list[int]]:
    """Positions of configs that can share a pass: each joins the first group all of whose members agree with it."""
    groups: list[list[int]] = []
    for i, config in enumerate(configs):
        home = next((g for g in groups if not any(_differences(configs[j], config) for j in g)), None)
        groups.append([i]) if home is None else home.append(i)
    return groups


def _join_dataset(ours: dict, theirs: dict) -> None:
    once = set(ours.get('once', ())) | set(theirs.get('once', ()))
    # A view is needed in the first epoch only where nobody needs it later.
    later = {v for d in (ours, theirs) for v in d['views'] if v not in d.get('once', ())}
    ours['views'] = {**ours['views'], **copy.deepcopy(theirs['views'])}
    ours['once'] = sorted(once - later)
    ours['held_out'] = max(ours.get('held_out', 0.0), theirs.get('held_out', 0.0))


def _agree(ours: Config, theirs: Config) -> None:
    """Raises ConfigError naming the first shared part that differs."""
    differences = _differences(ours, theirs)
    if differences:
        key, mine, other = differences[0]
        raise ConfigError(
            f'{_names(ours)} and {_names(theirs)} cannot share a pass: they differ in {key} '
            f'({mine!r} against {other!r}). Run them one by one.'
        )


def _differences(ours: Config, theirs: Config) -> list[tuple]:
    mine, other = _shared(ours), _shared(theirs)
    if _trained(ours) and _trained(theirs):  # heads that are not trained follow the others' epochs
        mine['train_cfg'], other['train_cfg'] = ours.train_cfg, theirs.train_cfg
    for config, flat in ((ours, mine), (theirs, other)):
        for name, view in config.train_dataloader.dataset.views.items():
            if name in ours.train_dataloader.dataset.views and name in theirs.train_dataloader.dataset.views:
                flat[f'the view {name}'] = view
    return [
        (key, mine.get(key), other.get(key))
        for key in sorted(set(mine) | set(other))
        if mine.get(key) != other.get(key)
    ]


def _is_choice(grid: dict) -> bool:
    return any(v == 'all' or isinstance(v, (list, tuple)) and len(v) > 1 for v in grid.values())


def _trained(config: Config) -> bool:
    return any('optimizer' in plan for plan in config.model.probes.values())


def _shared(config: Config) -> dict:
    return {
        path: leaf
        for path, leaf in _leaves(config.to_dict(), '')
        if not any(path == own or path.startswith(f'{own}.') for own in OWN)
    }


def _leaves(value, path: str):
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f'{path}.{key}' if path else key)
    else:
        yield path, value


def _names(config: Config) -> str:
    return ', '.join(config.model.probes)
