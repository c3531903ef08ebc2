"""Drawing of predictions. Importing the package registers its hooks."""

from ..paths import import_all

import_all(__name__, list(__path__))
