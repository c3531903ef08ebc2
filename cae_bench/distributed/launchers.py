"""How many processes a run has, as its launcher tells: before any of them is joined."""

import os

from ..errors import ConfigError

LAUNCHERS = {'none': 'none', 'torchrun': 'pytorch', 'slurm': 'slurm'}  # our name -> mmengine's


def world_size(launcher: str, command: str = 'run') -> int:
    """Number of processes; raises ConfigError for an unknown launcher, or one that did not start this process."""
    if launcher not in LAUNCHERS:
        raise ConfigError(f'--launcher {launcher}: choose one of {", ".join(LAUNCHERS)}')
    variable = {'none': None, 'torchrun': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS'}[launcher]
    if variable and variable not in os.environ:
        raise ConfigError(
            f'--launcher {launcher}: {variable} is not set; start through '
            + (f'torchrun --nproc_per_node=N -m cae_bench {command} ...' if launcher == 'torchrun' else 'srun')
        )
    if launcher == 'slurm':
        os.environ.setdefault('RANK', os.environ['SLURM_PROCID'])  # only the first process speaks
    return int(os.environ[variable]) if variable else 1
