"""The errors a user can cause. Each message names the thing and the remedy; the command line prints it without traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class CaeBenchError(Exception):
    """Wrong use or bad input: exit code 2."""


class CheckpointError(CaeBenchError, ValueError):
    """A file that is no checkpoint, is damaged, unsafe, of no known format, or does not fit the model."""


class DataError(CaeBenchError, ValueError):
    """A data folder, image, annotation or label that cannot be used as it is."""


class ConfigError(CaeBenchError, ValueError):
    """An unknown task, protocol, suite or option, or a recipe that does not exist."""


class InstallationError(CaeBenchError, ImportError):
    """An installed package in a version that this one cannot work with."""


class RecordError(CaeBenchError, ValueError):
    """A results folder or record that cannot be read or written."""


# Messages of torch and its libraries where memory cannot be had; many come in a plain RuntimeError.
OUT_OF_MEMORY = ('out of memory', "can't allocate memory", 'not enough memory', 'failed to allocate')


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory could not be had, on the host or on a device."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in OUT_OF_MEMORY)


def nearest(name: str, known: Iterable[str]) -> str:
    """' Did you mean a or b?' with the names closest to a misspelt one, else the list of what is known."""
    known = sorted(known)
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f' Did you mean {" or ".join(close)}?'
    return f' Known: {", ".join(known) or "none"}.'
