"""Path -> Checkpoint(spec, state_dict, report). A format is a file in `formats/`, recognised by keys and tensors."""

from ..errors import CheckpointError
from .checkpoint import Checkpoint, LoadReport
from .formats import known_formats
from .loader import load
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
    'from_released',
    'guard_mmengine',
    'known_formats',
    'load',
    'read_network',
    'to_released',
]
