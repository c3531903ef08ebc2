"""`--amp`: the precision of a training, or of the forward of a frozen backbone."""

import torch
from mmengine.config import Config

from ..errors import ConfigError
from ..training.bfloat16 import say_if_imitated
from .header import Header

DTYPES = {'fp32': 'float32', 'bf16': 'bfloat16', 'fp16': 'float16'}


def of_forward(cfg: Config, amp: str) -> None:
    """Sets the precision of the frozen forward; heads stay in float32."""
    dtype = _dtype(amp)
    if amp != 'fp32':
        cfg.model.precision = dtype


def of_training(cfg: Config, amp: str) -> None:
    """Lets a network train in this precision."""
    dtype = _dtype(amp)
    wrapper = dict(fp16=dict(type='AmpOptimWrapper', dtype=dtype), bf16=dict(type='cae_bench.BFloat16OptimWrapper'))
    if amp != 'fp32':
        cfg.optim_wrapper = dict(cfg.optim_wrapper, **wrapper[amp])


def check_evaluation(amp: str) -> None:
    """Raises ConfigError for a precision in which nothing is scored."""
    if amp != 'fp32':
        raise ConfigError(f'--eval-only scores in fp32, as every run does: leave --amp {amp} out')


def check_device(header: Header, amp: str) -> None:
    """Raises ConfigError where the devices at hand cannot train a recipe in this precision; says where it is slow."""
    say_if_imitated(amp)
    if amp == 'fp16' and not header.frozen and not torch.cuda.is_available():
        raise ConfigError(
            f'--amp fp16: {header.config} trains in it on CUDA only, and no CUDA device is '
            'visible here. Leave --amp out, or use --amp bf16'
        )


def _dtype(amp: str) -> str:
    if amp not in DTYPES:
        raise ConfigError(f'--amp {amp}: choose fp32, bf16 or fp16')
    return DTYPES[amp]
