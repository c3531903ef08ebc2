"""What tensors cannot tell of a backbone goes beside them into every checkpoint of a run."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from ..registry import HOOKS


@HOOKS.register_module()
class KeepSpec(Hook):
    """Writes the backbone's ViTSpec as the entry `spec`: family, number of heads, mean and std of the pixels."""

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        spec = getattr(getattr(model, 'backbone', None), 'spec', None)
        if spec is not None:
            checkpoint['spec'] = spec.to_dict()
