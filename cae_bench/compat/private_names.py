"""Every private name of mmengine, mmcv and torch that this package touches, each with its reason.

Such a name may go with any release. It is therefore listed in NAMES, used through the public functions below, and
looked for by `check()` before a run starts. mmengine and torch are imported by those who ask, not by this file alone.
"""

import dis
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import InstallationError
from .installed import PACKAGES, TESTED, distribution

if TYPE_CHECKING:
    from mmengine.optim import OptimWrapper
    from mmengine.optim.scheduler.param_scheduler import _ParamScheduler as ParamScheduler
    from mmengine.runner import Runner
    from torch.distributed import Store  # pyright: ignore[reportPrivateImportUsage]  documented there

MMCV_OPS = 'mmcv._ext'  # the module of mmcv's compiled functions; mmcv_ops.py answers for it where it is absent
FLEXIBLE_RUNNER = 'mmengine.runner._flexible_runner'  # imports mmengine's reader of checkpoints by name


@dataclass(frozen=True)
class PrivateName:
    """One name.

    Attributes:
        place: where it lies, `module` or `module:Class`; operators of torch lie in `torch:ops.<library>`.
        name: without the place.
        reason: why no public name will do.
        inside: files of this package that may use it by themselves: subclasses that take part in what it names.
        may_be_gone: some supported version has no such name; the code goes another way there.
        package: import name of the package that brings it; default: the one of the place.
    """

    place: str
    name: str
    reason: str
    inside: tuple[str, ...] = ()
    may_be_gone: bool = False
    package: str = ''

    def __post_init__(self):
        object.__setattr__(self, 'package', self.package or self.place.partition(':')[0].partition('.')[0])

    def exists(self) -> bool:
        """Whether the installed package still has it. Imports the package and the module that it lies in."""
        module, _, path = self.place.partition(':')
        try:
            importlib.import_module(self.package)
            owner = importlib.import_module(module)
            for part in path.split('.') if path else ():
                owner = getattr(owner, part)
        except (ImportError, AttributeError):
            return False
        return hasattr(owner, self.name) or (isinstance(owner, type) and self.name in _attributes_set_by(owner))


UPDATES, PRETRAINING, PROBES = 'training/micro_batches.py', 'pretraining/loop.py', 'probing/loop.py'
LOOPS = (UPDATES, PRETRAINING, PROBES)
EPOCHS, ITERATIONS = 'mmengine.runner.loops:EpochBasedTrainLoop', 'mmengine.runner.loops:IterBasedTrainLoop'
WRAPPER = 'mmengine.optim.optimizer.optimizer_wrapper:OptimWrapper'
SCHEDULERS = 'mmengine.optim.scheduler.param_scheduler'
COLLECTIVES = 'torch.distributed.distributed_c10d'  # torch can be built without it
SCHEDULER_BASE = PrivateName(SCHEDULERS, '_ParamScheduler', 'the only base class of schedulers')

NAMES = (
    # The optimizer wrapper counts backward passes, and has neither a reader nor a setter for it.
    PrivateName(WRAPPER, '_accumulative_counts', 'how many backward passes make an update'),
    PrivateName(WRAPPER, '_inner_count', 'how many backward passes have been made: an update starts at none'),
    PrivateName(
        WRAPPER, '_max_counts', 'a shorter last update is scaled by it: each of our updates says its own length'
    ),
    # Train loops of our own: the position is read through properties, but only the subclass can move it.
    PrivateName(EPOCHS, '_epoch', 'a loop that goes on inside an epoch sets it', LOOPS),
    PrivateName(EPOCHS, '_iter', 'a loop that goes on inside an epoch sets it', LOOPS),
    PrivateName(EPOCHS, '_max_epochs', 'the end of training, beside the position', (UPDATES, PROBES)),
    PrivateName(EPOCHS, '_max_iters', 'frozen probes count the steps of their own loader', (PROBES,)),
    PrivateName(EPOCHS, '_decide_current_val_interval', 'a loop that replaces run() has to call it', (UPDATES,)),
    PrivateName(ITERATIONS, '_iter', 'a loop of updates sets it', (UPDATES,)),
    PrivateName(ITERATIONS, '_max_iters', 'the end of training, beside the position', (UPDATES,)),
    PrivateName(ITERATIONS, '_decide_current_val_interval', 'a loop that replaces run() has to call it', (UPDATES,)),
    # Schedules of our own: the base class to derive from is private, and so is the method to fill in.
    SCHEDULER_BASE,
    PrivateName(f'{SCHEDULERS}:_ParamScheduler', '_get_value', 'a scheduler overrides it', ('training/schedules.py',)),
    PrivateName(f'{SCHEDULERS}:_ParamScheduler', '_global_step', 'a run resumed with other devices sets it'),
    # The runner, and how it reads checkpoints.
    PrivateName('mmengine.runner.runner:Runner', '_resume', 'whether the config asks to go on; it has no property'),
    PrivateName('mmengine.runner.runner:Runner', '_load_from', 'the file named in the config; it has no property'),
    PrivateName(
        'mmengine.runner.checkpoint',
        '_safe_torch_load',
        'all its ways to read a file meet here, the full unpickler among them; older versions have no such fallback',
        may_be_gone=True,
    ),
    # torch
    PrivateName(
        COLLECTIVES,
        '_get_default_store',
        'the only way to the key-value store of a launch that is not itself a collective call',
    ),
    PrivateName(
        'torch:cpu', '_is_avx512_bf16_supported', 'whether a CPU has units for bfloat16; nothing public says it'
    ),
    PrivateName('torch:ops.aten', '_softmax_backward_data', 'the fused gradient of a softmax whose input was not kept'),
    PrivateName('torch:nn.Module', '_metadata', 'versions of modules in a state dict', ('checkpoints/_allowed.py',)),
    PrivateName(
        'torch:ops.torchvision',
        '_roi_align_backward',
        'the gradient of RoIAlign, for a caller with an autograd function of its own',
        package='torchvision',
    ),
    # oneDNN's packed linear layer, as torch.compile uses it. Absent from some builds: F.linear takes its place.
    PrivateName('torch:ops.mkldnn', '_linear_pointwise', 'a linear layer with packed weights', may_be_gone=True),
    PrivateName('torch:ops.mkldnn', '_reorder_linear_weight', 'packs the weights', may_be_gone=True),
    PrivateName('torch:ops.mkldnn', '_is_mkldnn_bf16_supported', 'whether this CPU can', may_be_gone=True),
)


def check(names: tuple[PrivateName, ...] = NAMES) -> None:
    """Raises InstallationError where an installed package no longer has one of the names. Takes a tenth of a second."""
    for name in names:
        if not name.may_be_gone and not name.exists():
            raise missing(name)


def missing(name: PrivateName) -> InstallationError:
    """The error to raise for a name that is gone: package, version, reason, remedy."""
    found = distribution(name.package)
    installed = ' '.join(found) if found else f'{name.package} (not installed)'
    place = name.place.replace(':', '.')
    return InstallationError(
        f'{installed} has no {place}.{name.name}, which cae_bench needs ({name.reason}). Install the version that it '
        f"is tested with: pip install '{PACKAGES[name.package][0]}=={TESTED[name.package]}'"
    )


def _attributes_set_by(owner: type) -> Iterator[str]:
    """Attributes that the methods of a class set: those of its instances are among them."""
    for cls in owner.__mro__:
        for method in vars(cls).values():
            if isinstance(method, FunctionType):
                yield from (step.argval for step in dis.get_instructions(method) if step.opname == 'STORE_ATTR')


# ---- mmengine: counting micro-batches --------------------------------------------------------------------------------


def accumulation(wrapper: 'OptimWrapper') -> int:
    """How many backward passes make an update."""
    return wrapper._accumulative_counts


def start_update(wrapper: 'OptimWrapper', passes: int) -> None:
    """The next so many backward passes make one update, whatever came before.

    Each loss is then divided by their number; gradients are synchronised, clipped and applied with the last.
    """
    wrapper._accumulative_counts, wrapper._inner_count, wrapper._max_counts = passes, 0, -1


# ---- mmengine: schedulers and the runner -----------------------------------------------------------------------------


def __getattr__(name: str):
    """`ParamScheduler`, the base class of schedulers: mmengine is imported only for those who ask for it."""
    if name != 'ParamScheduler':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    if not SCHEDULER_BASE.exists():
        raise missing(SCHEDULER_BASE)
    return importlib.import_module(SCHEDULERS)._ParamScheduler


def goto_step(scheduler: 'ParamScheduler', iteration: int) -> None:
    """Puts a scheduler where it is after so many iterations, and applies its value."""
    scheduler.last_step = scheduler._global_step = iteration - 1
    scheduler.step()


def resumes_by_itself(runner: 'Runner') -> bool:
    """Whether a runner's config asks to go on from whatever its work folder holds."""
    return runner._resume and runner._load_from is None


def replace_reader(checkpoint: ModuleType, read: Callable) -> None:
    """Gives mmengine.runner.checkpoint another `read(file, map_location, weights_only)`, in all its schemes."""
    checkpoint._safe_torch_load = read  # pyright: ignore[reportAttributeAccessIssue]  any module takes any name


# ---- torch -----------------------------------------------------------------------------------------------------------


def launch_store() -> 'Store':
    """The key-value store that the processes of a launch share."""
    return importlib.import_module(COLLECTIVES)._get_default_store()


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16; others imitate it, many times slower than float32."""
    return torch.cpu._is_avx512_bf16_supported()


def softmax_backward(to_weights: Tensor, weights: Tensor) -> Tensor:
    """Gradient to the logits (..., K) from that to the softmax over K and the softmax itself, all of one type."""
    return torch.ops.aten._softmax_backward_data(to_weights, weights, -1, weights.dtype)


def roi_align_backward(
    grad: Tensor,
    rois: Tensor,
    scale: float,
    height: int,
    width: int,
    shape: torch.Size,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Gradient (B, C, H, W) = `shape` to the features, from `grad` (K, C, height, width) and `rois` (K, 5)."""
    return torch.ops.torchvision._roi_align_backward(grad, rois, scale, height, width, *shape, sampling_ratio, aligned)


def has_packed_linear() -> bool:
    """Whether torch has oneDNN's packed linear layer in bfloat16, and this CPU can run it."""
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, '_linear_pointwise')
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def pack_linear_weight(weight: Tensor, rows: int) -> Tensor:
    """(out, in) -> the same in oneDNN's own order, best for inputs of so many rows."""
    return torch.ops.mkldnn._reorder_linear_weight(weight, rows)


def packed_linear(x: Tensor, packed: Tensor, bias: Tensor | None, gelu: bool = False) -> Tensor:
    """(..., in) -> (..., out) with a packed weight; `gelu` applies the exact GELU to the result."""
    activation = ('gelu', [], 'none') if gelu else ('none', [], '')
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, *activation)
