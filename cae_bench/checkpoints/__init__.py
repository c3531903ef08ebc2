"""Path -> Checkpoint(spec, state_dict, report). Formats are told by their tensors, one file each, found by folder."""

from ..errors import CheckpointError
from .checkpoint import Checkpoint, LoadReport
from .loader import formats, load
from .mmengine_guard import guard_mmengine
from .networks import Network, from_released, read_network, to_released
from .report import describe, format_report
from .spec import ViTSpec
from .unchanged import check_hash

__all__ = [
    'Checkpoint',
    'CheckpointError',
    'LoadReport',
    'Network',
    'ViTSpec',
    'check_hash',
    'describe',
    'format_report',
    'formats',
    'from_released',
    'guard_mmengine',
    'load',
    'read_network',
    'to_released',
]
