"""TensorBoard by option. Nothing else needs the package, so nothing else asks for it."""

from ..errors import ConfigError


def writer_class():
    """torch's SummaryWriter; raises ConfigError where the package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            '--tensorboard needs the package tensorboard: pip install tensorboard, or leave the option out'
        ) from None
    return SummaryWriter


def add_to(cfg) -> None:
    """Gives a Runner's config a backend that writes its scalars to `<work_dir>/<time>/vis_data`, beside its log."""
    writer_class()
    visualizer = cfg.get('visualizer') or dict(type='mmengine.Visualizer')
    backends = visualizer.get('vis_backends', [dict(type='mmengine.LocalVisBackend')])
    cfg.visualizer = dict(visualizer, vis_backends=[*backends, dict(type='mmengine.TensorboardVisBackend')])
