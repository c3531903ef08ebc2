"""All trainers of a pass in the place where mmengine keeps, saves and resumes optimizers."""

from mmengine.optim import OptimWrapper
from torch import Tensor

from .trainer import HeadTrainer


class HeadOptimizers(OptimWrapper):
    """All trainers of a FrozenProbes model in the place where mmengine keeps, saves and resumes optimizers."""

    def __init__(self, trainers: dict[str, HeadTrainer], siblings: dict[str, HeadTrainer]):
        self.trainers, self.siblings = trainers, siblings

    def all(self) -> list[HeadTrainer]:
        return [*self.trainers.values(), *self.siblings.values()]

    def feed(self, name: str, features: Tensor, labels: Tensor, held_out: Tensor) -> dict[str, Tensor]:
        """Gives a batch to a probe and, where it has one, to its sibling; the mean loss over cells for the log."""
        losses = self.trainers[name].feed(features, labels, held_out)
        if name in self.siblings:
            self.siblings[name].feed(features, labels, held_out)
        return {} if losses is None else {f'{name}/loss': losses.mean()}

    def initialize_count_status(self, model, init_counts: int, max_counts: int) -> None:
        """Nothing to count here: every trainer counts its own steps."""

    def update_params(self, *args, **kwargs) -> None:
        raise NotImplementedError('frozen probes take their steps in feed()')

    def get_lr(self) -> dict[str, list[float]]:
        return {f'{name}.lr': t.optimizer.param_groups[0]['lr'].tolist() for name, t in self.trainers.items()}

    def state_dict(self) -> dict:
        return dict(trainers=_states(self.trainers), siblings=_states(self.siblings))

    def load_state_dict(self, state_dict: dict) -> None:
        for name, trainer in self.trainers.items():
            trainer.load_state_dict(state_dict['trainers'][name])
        for name, trainer in self.siblings.items():
            trainer.load_state_dict(state_dict['siblings'][name])


def _states(trainers: dict[str, HeadTrainer]) -> dict[str, dict]:
    return {name: trainer.state_dict() for name, trainer in trainers.items()}
