"""Frozen protocols: many probes on one frozen backbone, in one pass over the data."""

from ..paths import import_all

import_all(__name__, __path__)
