"""Builds the trainers of a pass where mmengine builds optimizers."""

from torch import nn

from ..registry import OPTIM_WRAPPER_CONSTRUCTORS
from .head_optimizers import HeadOptimizers
from .probes.linear import TrainedProbe
from .replica import frozen_probes
from .trainer import HeadTrainer


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ProbeOptimizers:
    """Builds the trainers from `model.probes`. A `dtype` in the optimizer config (--amp) is the frozen forward's."""

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        self.cfg = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> HeadOptimizers:
        probes = frozen_probes(model)
        probes.precision = self.cfg.get('dtype', probes.precision)
        trainers = {name: _trainer(name, probe, probes.plans[name]) for name, probe in probes.trained.items()}
        siblings = {
            name: _trainer(name, probe, probes.plans[name], without_held_out=True)
            for name, probe in probes.held_out_heads.items()
        }
        return HeadOptimizers(trainers, siblings)


def _trainer(name: str, probe: TrainedProbe, plan: dict, without_held_out: bool = False) -> HeadTrainer:
    keys = ('batch_size', 'bn_group', 'optimizer', 'schedule')
    return HeadTrainer(name, probe, **{key: plan[key] for key in keys}, without_held_out=without_held_out)
