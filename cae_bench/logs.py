"""What the user reads during a run: one line per step that matters. mmengine's full log lies in the work folder."""

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

LOGGER = logging.getLogger('cae_bench')

# Characters that a terminal or a page obeys instead of showing. Names come from files of strangers.
# Controls (with ESC and the one-byte CSI), soft hyphen, zero-width and bidi characters, line separators, halves of
# surrogate pairs (as in file names that are not UTF-8) and tag characters.
OBEYED = re.compile(
    '[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb'
    '\ud800-\udfff\U000e0000-\U000e007f]'
)


def visible(text: str) -> str:
    r"""One line that shows every character: 'a\x1b[31m' for an escape sequence, '\n' for a new line."""
    return OBEYED.sub(lambda match: match[0].encode('unicode_escape').decode(), text)


def visible_lines(text: str) -> str:
    """The same for text of several lines, whose breaks stay."""
    return '\n'.join(map(visible, text.split('\n')))


def speaks() -> bool:
    """Whether this process is the one that prints: the first of several."""
    return os.environ.get('RANK', '0') == '0'


def say(line: str) -> None:
    """One line, from the first process only; control characters of a name in it are shown."""
    if speaks():
        LOGGER.info(visible(line))


class _Stderr(logging.Handler):
    """Writes to the sys.stderr of the moment: a progress bar replaces it, to stay below the lines."""

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
def prints_go_to(path: Path) -> Iterator[None]:
    """Sends what other packages print to a file: standard output is the user's, and holds tables only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a') as file, contextlib.redirect_stdout(file):
        yield
