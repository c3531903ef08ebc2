"""Learning rates that fall with depth (BEiT, arXiv 2106.08254): one optimizer constructor for every task.

The backbone says how deep a parameter lies; everything around it (neck, heads, norms) learns at the full rate, or at a
multiple of it.
"""

from collections.abc import Collection

from mmengine.logging import MMLogger
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from ..errors import ConfigError
from ..registry import OPTIM_WRAPPER_CONSTRUCTORS
from .unwrap import unwrapped

NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    *(nn.GroupNorm, nn.LayerNorm),
)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor:
    """Parameter groups of the published recipes: lr x layer_decay_rate ^ (last layer - layer), weight decay by rule.

    Used by name in a config, with `paramwise_cfg`:
        layer_decay_rate: 1.0 leaves only the weight-decay split.
        no_decay: full parameter names that are not decayed besides 1-D tensors and biases.
        head_lr_mult: of the rate of all that lies around the backbone, which starts from nothing.
        decay_biases: detectron2's rule instead: only PyTorch's own norms and `no_decay` are spared.

    A schedule must multiply each group's `lr_scale` in, its minimum included; those of schedules.py do.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        self.wrapper = dict(optim_wrapper_cfg)
        self.optimizer = dict(self.wrapper.pop('optimizer'))
        self.rules = dict(paramwise_cfg or {})
        unknown = set(self.rules) - {'layer_decay_rate', 'no_decay', 'decay_biases', 'head_lr_mult'}
        if unknown:
            raise ConfigError(
                f'LayerDecayOptimWrapperConstructor: paramwise_cfg has no {sorted(unknown)}; '
                'it takes layer_decay_rate, head_lr_mult, no_decay and decay_biases'
            )

    def __call__(self, model: nn.Module):
        groups = param_groups(
            unwrapped(model), self.optimizer['lr'], self.optimizer.get('weight_decay', 0.0), **self.rules
        )
        for group in groups:
            MMLogger.get_current_instance().debug(
                f'layer {group["layer"]}: lr x {group["lr_scale"]:.3e}, weight decay {group["weight_decay"]}, '
                f'{len(group["params"])} tensors'
            )
        optimizer = OPTIMIZERS.build(dict(self.optimizer, params=groups))
        self.wrapper.setdefault('type', 'OptimWrapper')
        return OPTIM_WRAPPERS.build(dict(self.wrapper), default_args=dict(optimizer=optimizer))


def param_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay_rate: float = 1.0,
    no_decay: Collection[str] = (),
    decay_biases: bool = False,
    head_lr_mult: float = 1.0,
) -> list[dict]:
    """The trainable parameters of a model, one group for each layer and weight decay; frozen ones are left out."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    spared = (
        {*no_decay, *norm_parameters(model)}
        if decay_biases
        else {name for name, p in trained.items() if is_plain(name, p, no_decay)}
    )
    groups = {}
    for name, parameter in trained.items():
        layer, last = layer_of(model, name) if layer_decay_rate != 1.0 else (0, 0)
        decay = 0.0 if name in spared else weight_decay
        scale = layer_decay_rate ** (last - layer) * (1.0 if name.startswith('backbone.') else head_lr_mult)
        group = dict(params=[], lr=lr * scale, lr_scale=scale, weight_decay=decay, layer=layer)
        groups.setdefault((layer, decay, scale), group)['params'].append(parameter)
    return list(groups.values())


def is_plain(name: str, parameter: nn.Parameter, no_decay: Collection[str] = ()) -> bool:
    """Not decayed: norms, biases, layer scales (all 1-D) and what the recipe names; relative position tables are."""
    return parameter.ndim <= 1 or name.endswith('.bias') or name in no_decay


def norm_parameters(model: nn.Module) -> set[str]:
    """Weights and biases of PyTorch's norms; detectron2's get_default_optimizer_params spares no other tensor."""
    return {
        f'{place}.{name}'
        for place, module in model.named_modules()
        if isinstance(module, NORMS)
        for name, _ in module.named_parameters(recurse=False)
    }


def layer_of(model: nn.Module, name: str, prefix: str = 'backbone.') -> tuple[int, int]:
    """(layer of a parameter, last layer): tokens, positions, patch embedding 0, block i is i + 1, all else the last."""
    backbone = getattr(model, prefix.rstrip('.'), None)
    if backbone is None or not hasattr(backbone, 'get_layer_depth'):
        raise ConfigError(
            f"layer decay asks {type(model).__name__}.backbone for a parameter's depth; "
            f'{type(backbone).__name__} has no get_layer_depth. Use cae_bench.ViT, '
            'or layer_decay_rate=1.0.'
        )
    depth, num_layers = backbone.get_layer_depth(name.removeprefix(prefix))
    last = num_layers - 1
    return (depth, last) if name.startswith(prefix) else (last, last)
