"""`--shorten F` scales the lengths of a schedule together."""

from mmengine.config import Config

from ..errors import ConfigError
from . import places
from .find import as_shipped
from .header import Header
from .options import Options
from .probe_settings import probes


def shorten(cfg: Config, header: Header, factor: float) -> None:
    """Scales every length of the schedule; in place. Raises ConfigError for a factor that is none."""
    if factor <= 0:
        raise ConfigError(f'--shorten {factor:g}: give a factor above 0, e.g. 0.1 for a tenth of the schedule')
    for path, length in _shortened(cfg, header, factor).items():
        place, last = places.find(cfg, path)
        place[last] = length


def is_shortened(header: Header, options: Options) -> bool:
    """Whether --shorten changes this task's schedule; nothing else may be recorded of it."""
    return not options.eval_only and bool(_shortened(as_shipped(header), header, options.shorten))


def _shortened(cfg: Config, header: Header, factor: float) -> dict[str, int | float]:
    """{place: new length} of those in the header's `schedule` that a factor changes, and of warm-ups of heads with them.

    Empty where there is nothing to shorten: one pass over the data fills a bank for k-NN.
    """
    lengths: dict[str, int | float] = {}
    for path in header.schedule:
        old = places.get(cfg, path)
        if (length := max(1, round(old * factor))) != old:
            lengths[path] = length
    for name, probe in probes(cfg).items():
        if 'schedule' in probe and 'train_cfg.max_epochs' in lengths:
            ratio = lengths['train_cfg.max_epochs'] / cfg.train_cfg.max_epochs
            lengths[f'model.probes.{name}.schedule.warmup_epochs'] = probe.schedule.warmup_epochs * ratio
    return lengths
