"""Compatibility with installations as they are.

Importing this lets mmdet work where mmcv has no compiled ops, and makes mmengine read checkpoints without running them.
"""

from . import guarded_loading
from .mmcv_ops import active, install

__all__ = ['active', 'install']

install()
guarded_loading.install()
