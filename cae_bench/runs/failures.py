"""One task's failure must not cost the others: it is named in the outcome, and the run goes on."""

import contextlib
import os
from collections.abc import Iterator

from ..distributed.failing_together import all_failed
from ..errors import CaeBenchError
from ..logs import say
from .outcome import Outcome


@contextlib.contextmanager
def named_in(outcome: Outcome, title: str) -> Iterator[None]:
    """Names an error in the outcome and goes on.

    Where it meets one of several processes, the others wait for that one: then it ends them, through their launcher.
    """
    try:
        yield
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        if os.environ.get('CAE_BENCH_DEBUG'):
            raise
        outcome.failures[title] = str(error)
        if isinstance(error, CaeBenchError):
            outcome.refused.add(title)
        say(f'{title}: failed, {one_line(error)}')
        if not all_failed():
            raise RuntimeError(
                f'{title}: failed in one of the processes, {one_line(error)} The launch ends here; the '
                'same command goes on with what is left.'
            ) from error


def one_line(error: Exception) -> str:
    """A user's error as it is; torch wraps those of loader workers into a traceback, of which the last line counts."""
    if isinstance(error, CaeBenchError):
        return str(error).rpartition(f'{type(error).__name__}: ')[2].strip()
    message = str(error).strip()
    last = message.splitlines()[-1] if 'Original Traceback' in message else f'{type(error).__name__}: {message}'
    return ' '.join(last.split())[:500]


def _interrupted(error: BaseException | None) -> bool:
    """Some packages catch Ctrl-C with everything else and raise an error of their own in its place."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
