"""What a user may say about a run of `cae-bench run` or `cae_bench.run`."""

from dataclasses import dataclass, field
from typing import Any


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
    # {'lr': [0.1, 0.3]}: a head for every combination, frozen protocols only
    grid: dict[str, list[float]] = field(default_factory=dict)
    share_views: bool = False  # heads trained in one pass read one crop
    skip_corrupt: bool = False  # leave out images that cannot be decoded; frozen protocols only
    tensorboard: bool = False  # moves no score
    epochs_pretrained: int | None = None  # for recipes whose constants go with it; default: what file or name say
    eval_only: bool = False  # the file's own neck and heads are scored, nothing is trained
    cfg_options: dict[str, Any] = field(default_factory=dict)  # dotted key of the config -> value

    def overrides(self) -> dict[str, Any]:
        """What differs from the recipe as shipped."""
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
