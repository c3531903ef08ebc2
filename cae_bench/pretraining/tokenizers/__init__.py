"""What a masked patch is to be predicted as: codes, pixels, or features of a teacher. One file each."""

from ...paths import import_all

import_all(__name__, __path__)
