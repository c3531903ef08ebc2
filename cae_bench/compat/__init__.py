"""Compatibility with installations as they are: importing this lets mmdet work where mmcv has no compiled ops."""
from .mmcv_ops import active, install

__all__ = ['active', 'install']

install()
