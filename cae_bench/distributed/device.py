"""Which device a run uses: the accelerators are hidden before torch looks for them."""

import os

from ..errors import ConfigError


def choose_device(device: str | None) -> None:
    """Hides the accelerators for `cpu`; to be called before mmengine is imported, which remembers what it saw.

    Args:
        device: 'cpu', 'cuda', or None for cuda where there is one.

    Raises:
        ConfigError: another name, or no CUDA device is visible.
    """
    if device == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    elif device == 'cuda':
        import torch

        if not torch.cuda.is_available():
            raise ConfigError(
                '--device cuda: no CUDA device is visible here. See cae-bench doctor, or use --device cpu.'
            )
    elif device is not None:
        raise ConfigError(f'--device {device}: choose cpu or cuda')
