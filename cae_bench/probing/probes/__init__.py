"""Heads on frozen features, one kind a file."""

from ...paths import import_all

import_all(__name__, __path__)
