"""SIGTERM, as a scheduler sends it before it takes a machine back: a run ends where nothing is lost, with code 143."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

from .logs import say

CODE = 128 + signal.SIGTERM
NOTHING_LOST = 'Stopped by SIGTERM. What is finished is kept; the same command goes on from there.'


class Stopped(SystemExit):
    """Ends the program with CODE; no handler of errors catches it."""

    def __init__(self, line: str):
        super().__init__(CODE)
        say(line)


class _State:
    requested: bool = False  # a SIGTERM came
    waits: bool = False  # the run looks for it at safe points


def requested() -> bool:
    """Whether a SIGTERM came that the run has not acted on yet."""
    return _State.requested


@contextlib.contextmanager
def on_sigterm() -> Iterator[None]:
    """Within this block SIGTERM ends the program: at once, or inside `at_safe_points` where the run looks for it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread only
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _State.requested = False


@contextlib.contextmanager
def at_safe_points() -> Iterator[None]:
    """Within this block a SIGTERM only sets `requested()`: the training looks at it where it can write a checkpoint.

    A signal after the last of these points lets the record be written; the next training does not begin.
    """
    stop_if_requested()
    before, _State.waits = _State.waits, True
    try:
        yield
    finally:
        _State.waits = before


def stop_if_requested() -> None:
    """Raises Stopped where a SIGTERM came and nothing is lost by ending here."""
    if _State.requested:
        raise Stopped(NOTHING_LOST)


def _stop(*_: object) -> None:
    if _State.requested:
        return  # a launcher may send it again to each of its processes
    _State.requested = True
    if not _State.waits:
        raise Stopped(NOTHING_LOST)
    say('SIGTERM: stops at the next safe point, with a checkpoint')


class ObeyParentOnly:
    """A loader's `worker_init_fn` whose workers obey SIGTERM from their parent only.

    Schedulers send it to all processes at once, and without its workers the run could not finish its update.
    """

    def __init__(self, then: Callable[[int], None] | None = None):
        self.then = then  # the loader's own `worker_init_fn`, called last

    def __call__(self, worker: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey_parent, args=(os.getppid(),), daemon=True).start()
        if self.then is not None:
            self.then(worker)


def _obey_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
