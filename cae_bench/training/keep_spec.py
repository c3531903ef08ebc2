"""What tensors cannot tell of a backbone goes beside them into every checkpoint of a run."""

from mmengine.hooks import Hook

from ..registry import HOOKS
from .unwrap import unwrapped


@HOOKS.register_module()
class KeepSpec(Hook):
    """Writes the backbone's ViTSpec as the entry `spec`: family, number of heads, mean and std of the pixels."""

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        spec = getattr(getattr(unwrapped(runner.model), 'backbone', None), 'spec', None)
        if spec is not None:
            checkpoint['spec'] = spec.to_dict()
