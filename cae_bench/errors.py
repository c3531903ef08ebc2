"""The errors a user can cause. Each message names the thing and the remedy; the command line prints it without traceback."""


class CaeBenchError(Exception):
    """Wrong use or bad input: exit code 2."""


class CheckpointError(CaeBenchError, ValueError):
    """A file that is no checkpoint, is damaged, unsafe, of no known format, or does not fit the model."""


class DataError(CaeBenchError, ValueError):
    """A data folder, image, annotation or label that cannot be used as it is."""


class ConfigError(CaeBenchError, ValueError):
    """An unknown task, protocol, suite or option, or a recipe that does not exist."""


class RecordError(CaeBenchError, ValueError):
    """A results folder or record that cannot be read or written."""
