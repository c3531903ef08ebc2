"""After an error in a run of several processes: did it meet all of them, or do the others wait for this one?"""

import itertools
import time

from mmengine.dist import get_world_size

from ..compat.private_names import launch_store

PATIENCE = 20.0  # seconds; errors that meet all processes do so at about the same moment
_errors = itertools.count()  # processes that go on after an error have met equally many


def all_failed() -> bool:
    """Whether every process of the launch has come here within PATIENCE; always where one runs alone.

    Asks the launch's key-value store: the others may be in the middle of a collective call, which no further call of
    that kind could pass.
    """
    world = get_world_size()
    if world == 1:
        return True
    store, key = launch_store(), f'cae_bench/failed/{next(_errors)}'
    came, latest = store.add(key, 1), time.monotonic() + PATIENCE
    while came < world and time.monotonic() < latest:
        time.sleep(0.1)
        came = store.add(key, 0)
    return came == world
