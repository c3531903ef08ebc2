"""Validating more or less often moves no score: training goes on with the random numbers it would have had."""

import random

import numpy as np
import torch
from mmengine.hooks import Hook

from ..registry import HOOKS


@HOOKS.register_module()
class SameRandomNumbers(Hook):
    """Puts the random state back after a validation, which draws a seed for its workers, and more in some models."""

    priority = 'VERY_HIGH'

    def before_val(self, runner) -> None:
        self.state = random.getstate(), np.random.get_state(), torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    def after_val(self, runner) -> None:
        python, numpy, cpu = self.state
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)
