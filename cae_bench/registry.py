"""Child registries of mmengine, scope `cae_bench`.

`type='cae_bench.X'` in any OpenMMLab config makes mmengine import this module by name and then the rooms below,
so no `custom_imports` is needed.
"""

from mmengine import registry as root

from . import compat  # noqa: F401  before anything can import mmcv.ops or load a checkpoint: see there

# Any room may register anything. That of data sets can be imported without torch, so a module of it imports the rest.
ROOMS = ('models', 'training', 'probing', 'pretraining', 'datasets.registered', 'evaluation', 'pictures')


def _child(name: str) -> root.Registry:
    parent = getattr(root, name)
    return root.Registry(
        parent.name, parent=parent, scope='cae_bench', locations=[f'cae_bench.{room}' for room in ROOMS]
    )


MODELS = _child('MODELS')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS')
DATASETS = _child('DATASETS')
DATA_SAMPLERS = _child('DATA_SAMPLERS')
TRANSFORMS = _child('TRANSFORMS')
FUNCTIONS = _child('FUNCTIONS')
METRICS = _child('METRICS')
HOOKS = _child('HOOKS')
LOOPS = _child('LOOPS')
OPTIMIZERS = _child('OPTIMIZERS')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS')
