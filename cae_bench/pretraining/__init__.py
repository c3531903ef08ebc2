"""Pretraining: methods, their targets, images, masks, loop and hooks."""

from ..paths import import_all

import_all(__name__, __path__)
