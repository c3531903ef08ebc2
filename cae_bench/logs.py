"""What the user reads while a run works: one line per step that matters. mmengine's full log lies in the work folder."""
import contextlib
import logging
import os
import sys
import warnings
from pathlib import Path

from .visible import visible

LOGGER = logging.getLogger('cae_bench')


def speaks() -> bool:
    """Of several processes the first one speaks."""
    return os.environ.get('RANK', '0') == '0'


def say(line: str) -> None:
    """One line, from the first process only; control characters of a name in it are shown."""
    if speaks():
        LOGGER.info(visible(line))


class _Stderr(logging.Handler):
    """Writes to what sys.stderr is at that moment: a progress bar takes its place to stay below the lines."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def speak_on_terminal() -> None:
    """For the command line: lines with the time on stderr; warnings of other packages stay out of the way."""
    handler = _Stderr()
    handler.setFormatter(logging.Formatter('%(asctime)s  %(message)s', '%H:%M:%S'))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    warnings.simplefilter('ignore')


@contextlib.contextmanager
def prints_go_to(path: Path):
    """What other packages print goes to a file: standard output is the user's, and holds tables only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a') as file, contextlib.redirect_stdout(file):
        yield
