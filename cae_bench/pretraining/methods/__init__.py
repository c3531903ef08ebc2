"""Pretraining on the one ViT: CAE, CAE v2, MAE and BEiT, and what they predict (`tokenizers/`)."""

from ...paths import import_all

import_all(__name__, __path__)
