"""Path -> Checkpoint(spec, state_dict, report). Formats are told by their tensors, one file each, found by folder."""
from ..errors import CheckpointError
from .checkpoint import Checkpoint, LoadReport
from .loader import formats, load
from .mmengine_guard import guard_mmengine
from .report import describe, format_report
from .spec import ViTSpec

__all__ = ['Checkpoint', 'CheckpointError', 'LoadReport', 'ViTSpec', 'describe', 'format_report', 'formats',
           'guard_mmengine', 'load']
