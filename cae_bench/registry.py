"""Child registries of mmengine, scope `cae_bench`.

`type='cae_bench.X'` in any OpenMMLab config makes mmengine import this module by name and then the locations below,
so no `custom_imports` is needed.
"""
from mmengine import registry as root

from . import compat  # noqa: F401  before anything can import mmcv.ops or load a checkpoint: see there


def _child(name: str, *locations: str) -> root.Registry:
    parent = getattr(root, name)
    return root.Registry(parent.name, parent=parent, scope='cae_bench', locations=[f'cae_bench.{x}' for x in locations])


MODELS = _child('MODELS', 'models')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS', 'models')
DATASETS = _child('DATASETS', 'datasets')
DATA_SAMPLERS = _child('DATA_SAMPLERS', 'datasets')
TRANSFORMS = _child('TRANSFORMS', 'datasets')
FUNCTIONS = _child('FUNCTIONS', 'datasets')
METRICS = _child('METRICS', 'evaluation')
HOOKS = _child('HOOKS', 'engine')
LOOPS = _child('LOOPS', 'engine')
OPTIMIZERS = _child('OPTIMIZERS', 'engine')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS', 'engine')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS', 'engine')
