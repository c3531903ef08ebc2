"""One run at a time in a work folder: a second one waits until the first is done, or is refused and hears who it is."""

import contextlib
import errno
import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

from ..distributed.cpu_processes import agree, meet
from ..errors import ConfigError
from ..logs import say

PAUSE = 1.0  # seconds between two looks


@contextlib.contextmanager
def work_lock(folder: Path, title: str, launcher: str = 'none', wait: bool = True) -> Iterator[bool]:
    """Holds `folder` for the processes of this launch; yields whether another run had it and was waited for.

    The system lets go of a lock when its process ends, however it ends.

    Raises:
        ConfigError: another run is at work there, and `wait` is off.
    """
    meet(launcher)
    with contextlib.ExitStack() as stack:
        file = None
        if os.environ.get('RANK', '0') == '0':  # the first process locks for all
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(folder / '.lock', 'a+'))
        waited = False
        while holder := agree(lambda: _holder(file)):
            if not wait:
                raise ConfigError(
                    f'{folder}: {holder} is at work here. Wait for it or stop it, or name another folder with -o.'
                )
            if not waited:
                say(f'{title}: {holder} is at work on it in {folder}; waits until that run is done (Ctrl-C stops)')
            waited = True
            time.sleep(PAUSE)
        yield waited


def _holder(file: TextIO | None) -> str:
    """'' where the lock is now ours, else who has it; only the first process of a launch has the file."""
    assert file is not None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):  # POSIX leaves the choice between the two
            return _named(file)
        say(f'{file.name} cannot be locked on this file system ({error.strerror}): start no second run of this here')
        return ''
    file.seek(0)
    file.truncate()
    me = dict(pid=os.getpid(), host=platform.node(), since=datetime.now().astimezone().isoformat(timespec='seconds'))
    file.write(json.dumps(me))
    file.flush()
    return ''


def _named(file: TextIO) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return f'process {holder["pid"]} of {holder["host"]} (since {holder["since"]})'
    except (ValueError, KeyError, TypeError):  # between its lock and its first line
        return 'another run'
