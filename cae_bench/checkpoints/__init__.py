"""Path -> Checkpoint(spec, state_dict, report). Formats are told by their tensors, one file each, found by folder."""
from ..errors import CheckpointError
from .checkpoint import Checkpoint, LoadReport
from .loader import formats, load
from .spec import ViTSpec

__all__ = ['Checkpoint', 'CheckpointError', 'LoadReport', 'ViTSpec', 'formats', 'load']
