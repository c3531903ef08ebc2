"""One optimizer step of pretraining: mixed precision, accumulation, clipping, and what happens to a broken gradient."""

from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from ..errors import ConfigError
from ..registry import OPTIM_WRAPPERS
from ..training.bfloat16 import say_if_imitated

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


class Diverged(RuntimeError):
    """Too many updates in a row had no finite gradient."""


@OPTIM_WRAPPERS.register_module()
class PretrainOptimWrapper(OptimWrapper):
    """Autocast, loss scaling (fp16), clipping by global norm; an update whose gradient is not finite is left out.

    One check serves all processes: gradients are averaged before their norm is taken, so all see the same norm and
    leave out the same update.

    Args:
        amp: fp32, bf16 or fp16.
        max_norm: clip the global gradient norm here; None leaves gradients as they are.
        max_skips: updates left out in a row before the run stops; those with which fp16 finds its scale do not count.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        amp: str = 'fp32',
        max_norm: float | None = None,
        max_skips: int = 10,
        accumulative_counts: int = 1,
    ):
        super().__init__(optimizer, accumulative_counts)
        if amp not in DTYPES:
            raise ConfigError(f'amp={amp!r}: choose fp32, bf16 or fp16')
        say_if_imitated(amp)
        self.amp, self.max_norm, self.max_skips = amp, max_norm or float('inf'), max_skips
        self.device = optimizer.param_groups[0]['params'][0].device.type
        self.scaler = GradScaler(self.device, enabled=amp == 'fp16')
        self.grad_norm: Tensor | None = None  # of the last update, before clipping
        self.skipped, self.in_a_row = 0, 0
        self.names: dict[int, str] = {}  # id of a parameter -> its name, for messages

    def name_parameters(self, model: nn.Module) -> None:
        self.names = {id(p): name for name, p in model.named_parameters()}

    @contextmanager
    def optim_context(self, model: nn.Module):
        with super().optim_context(model), torch.autocast(self.device, DTYPES[self.amp], enabled=self.amp != 'fp32'):
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        super().backward(self.scaler.scale(loss), **kwargs)

    def step(self, **kwargs) -> None:
        self.scaler.unscale_(self.optimizer)
        parameters = [p for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        self.grad_norm = nn.utils.get_total_norm([p.grad for p in parameters])
        if self.grad_norm > self.max_norm:  # else clipping would multiply all of them by one
            nn.utils.clip_grads_with_norm_(parameters, self.max_norm, self.grad_norm)
        if torch.isfinite(self.grad_norm):
            self.scaler.step(self.optimizer, **kwargs)
            self.in_a_row = 0
        else:
            self._leave_out(parameters)
        self.scaler.update()

    def _leave_out(self, parameters: list[nn.Parameter]) -> None:
        self.skipped += 1
        if self.scaler.is_enabled() and self.scaler.get_scale() > 1:  # fp16: the scale comes down and the next one fits
            return
        self.in_a_row += 1
        if self.in_a_row >= self.max_skips:
            raise Diverged(
                f'no finite gradient in {self.in_a_row} updates in a row; the first that is not finite is that of '
                f'{self._first_broken(parameters)}'
            )

    def _first_broken(self, parameters: list[nn.Parameter]) -> str:
        for parameter in parameters:
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                return self.names.get(id(parameter), 'a parameter')
        return 'the norm'

    def state_dict(self) -> dict:
        return dict(optimizer=self.optimizer.state_dict(), scaler=self.scaler.state_dict(), skipped=self.skipped)

    def load_state_dict(self, state_dict: dict) -> None:
        self.optimizer.load_state_dict(state_dict['optimizer'])
        if self.scaler.is_enabled() and state_dict['scaler']:
            self.scaler.load_state_dict(state_dict['scaler'])
        self.skipped = state_dict['skipped']
