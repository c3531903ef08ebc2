"""What fine-tuning, segmentation and detection share: schedules, layer decay, micro-batches, runner and hooks."""

from ..paths import import_all

import_all(__name__, __path__)
