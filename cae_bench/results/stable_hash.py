"""The fingerprint of a run: one hash over all that can move its score."""

import hashlib
import json
import math
from typing import Any

from ..errors import RecordError

# Settings that move no score: how fast data are read, and what is logged.
SPEED_AND_LOGS = frozenset(
    {
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
)


def moves_no_score(key: str) -> bool:
    """Whether an override is of such a setting, or of an entry of one: 'train_dataloader.num_workers'."""
    return not SPEED_AND_LOGS.isdisjoint(key.split('.'))


def fingerprint(parts: dict[str, Any]) -> str:
    """sha256 over all that can move the score: checkpoint hash, protocol and version, recipe, resolved config without
    paths, workers and logging, overrides, data-set hash, limit, precision. The seed stays out: seeds of one fingerprint
    are repetitions. Key order and tuple against list make no difference; anything JSON cannot hold is an error.
    """
    text = json.dumps(_canonical(parts, 'fingerprint'), sort_keys=True, separators=(',', ':'), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any, name: str) -> Any:
    """The value as plain JSON, sets sorted; raises RecordError naming the part that has no such form."""
    if isinstance(value, dict):
        return {str(key): _canonical(part, f'{name}.{key}') for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(part, f'{name}.{i}') for i, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return sorted(_canonical(part, name) for part in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise RecordError(f'{name} is {value}: give a finite number.')
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, 'item'):
        return value.item()
    raise RecordError(
        f'{name}: {type(value).__name__} has no stable text form. '
        f'Give its name or its settings to the fingerprint instead.'
    )
