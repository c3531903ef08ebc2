"""What two runs must share to be repetitions of each other: everything that can move the score, except the seed."""

from typing import Any

from mmengine.config import Config

from ..checkpoints import Checkpoint
from ..datasets.data_info import DataInfo
from ..results.stable_hash import SPEED_AND_LOGS, moves_no_score
from .header import Header
from .options import Options
from .overrides import overrides_of

# Speed and logs, where things lie, and what scoring_parts names apart: never what the score will be.
_IDLE_KEYS = SPEED_AND_LOGS | {
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


def scoring_parts(cfg: Config, ckpt: Checkpoint, data: DataInfo, options: Options) -> dict[str, Any]:
    """Parts by name; two runs with equal parts, whatever their seeds, are repetitions of each other."""
    header = Header.of(cfg)
    return dict(
        checkpoint=ckpt.identity,
        protocol=header.config,
        version=header.version,
        recipe=options.recipe,
        config=_without_idle(cfg.to_dict()),
        overrides=_that_move_scores(overrides_of(cfg, options)),
        data=data.content_hash,
        limit=options.limit,
        precision=options.amp,
    )


def _that_move_scores(overrides: dict[str, Any]) -> dict[str, Any]:
    """Less what says how fast the data are read and what is logged: a key of the config, or an entry of one."""
    return {key: value for key, value in overrides.items() if not moves_no_score(key)}


def _without_idle(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_idle(v) for k, v in value.items() if k not in _IDLE_KEYS}
    if isinstance(value, (list, tuple)):
        return [_without_idle(v) for v in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
