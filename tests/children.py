"""Child processes that start in a second: forked from a server that has imported the heavy packages once.

Not forked from the test's own process: a test before may have scored boxes, and hotcoco's threads do not live on in a
fork. Not spawned: each child would spend 8 CPU seconds on imports.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

HEAVY = ['cae_bench.compat', 'cae_bench.benchmark', 'mmengine.runner', 'mmseg.models', 'mmdet.models', 'mmdet.datasets']
server = multiprocessing.get_context('forkserver')
server.set_forkserver_preload(HEAVY)


def start(work: Callable, *arguments, log: Path, env: dict[str, str] | None = None) -> BaseProcess:
    """`work(*arguments)` in a child that leads a process group of its own.

    log: file to which it adds what it prints.
    env: variables for the child alone.
    """
    child = server.Process(target=_begin, args=(work, arguments, log, dict(os.environ) | (env or {})))
    child.start()
    return child


def _begin(work: Callable, arguments: tuple, log: Path, env: dict[str, str]) -> None:
    os.setsid()
    os.environ.clear()  # the server's: those of the moment when it was started
    os.environ.update(env)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    work(*arguments)


def cae_bench(*arguments) -> None:
    """The command line, as `work` of a child."""
    from cae_bench.cli import main

    sys.argv = ['cae-bench', *map(str, arguments)]
    main()


def finish(child: BaseProcess, log: Path, code: int = 0) -> None:
    """Waits for its end, which must be this exit code."""
    child.join(400)
    assert child.exitcode == code, f'the run ended with {child.exitcode}: {log.read_text()[-3000:]}'
