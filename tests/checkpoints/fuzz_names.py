"""Calls every name that a checkpoint may use with hostile arguments, and then uses what came out. Ends by itself.

Run as a program: a process that a signal ends is the failure which a test cannot catch in its own process.
"""

import io
import math
import random
import sys
import zipfile

import hostile_pickles as hostile
import numpy as np
import torch
from hostile_pickles import Call, Global, Storage

from cae_bench.checkpoints import CheckpointError, _allowed, safe_load
from cae_bench.checkpoints._tensors import Rebuild, Unreadable

POINTER = b'AAAAAAAA'
TABLE = {**_allowed.names(), **Rebuild().names}
NAMES = sorted(TABLE)
CALLED = [path for path in NAMES if getattr(TABLE[path], 'make', None)]


def values(rng: random.Random, depth: int = 2):
    """One hostile argument."""
    plain = [
        None,
        True,
        False,
        0,
        1,
        -1,
        3,
        2**31,
        2**62,
        2**70,
        -(2**63),
        0.5,
        math.nan,
        math.inf,
        '',
        'O8',
        'f4',
        'O',
        'V8',
        'U1',
        'S8',
        'latin1',
        'zip',
        'cpu',
        'meta',
        'x' * 300,
        '\0',
        POINTER,
        b'',
        b'\xff' * 64,
        (),
        [],
        {},
        (0,),
        (1,),
        (2, 3),
        (-1,),
        (2**62,),
        (2**32, 2**32),
        [1, 2],
        ('a', 'b'),
        {'min': 1},
        (1,) * 70,
    ]
    made = [
        lambda: Global(rng.choice(NAMES)),
        lambda: hostile.dtype(rng.choice(['f4', 'U3', 'O8', 'i8', '?', 'c8'])),
        lambda: hostile.array((1,), hostile.dtype('f8'), POINTER),
        lambda: hostile.tensor(),
        lambda: Storage(
            rng.choice(
                [
                    'torch.FloatStorage',
                    'torch.BoolStorage',
                    'torch.LongStorage',
                    'torch.QInt8Storage',
                    'torch.storage.UntypedStorage',
                ]
            ),
            count=rng.choice([1, 2, 4, 2**40, -1]),
        ),
        lambda: Call(rng.choice(CALLED), arguments(rng, depth - 1)),
        lambda: [values(rng, depth - 1)],
        lambda: (values(rng, depth - 1), values(rng, depth - 1)),
        lambda: {'_log_history': values(rng, depth - 1)},
    ]
    return rng.choice(made)() if depth and rng.random() < 0.4 else rng.choice(plain)


def arguments(rng: random.Random, depth: int = 2) -> tuple:
    return tuple(values(rng, depth) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4, 5, 6, 8])))


HONEST = {
    'torch._utils._rebuild_tensor_v2': (Storage(count=4), 0, (2, 2), (2, 1), False, None),
    'torch._utils._rebuild_tensor_v3': (
        Storage('torch.storage.UntypedStorage', count=16),
        0,
        (4,),
        (1,),
        False,
        None,
        Global('torch.float32'),
    ),
    'torch._tensor._rebuild_from_type_v2': (
        Global('torch._utils._rebuild_tensor_v2'),
        Global('torch.Tensor'),
        (Storage(count=4), 0, (4,), (1,), False, None),
        {},
    ),
    'numpy.core.multiarray.scalar': (hostile.dtype('f8', 3, '<', None, None, None, -1, -1, 0), POINTER),
    'numpy.core.numeric._frombuffer': (POINTER, hostile.dtype('f8'), (1,), 'C'),
    'numpy.dtype': ('f8', False, True),
}
STATES = [
    (3, '<', None, None, None, -1, -1, 0),
    (3, '|', None, None, None, 8, 1, 63),
    (3, '|', None, ('f', 'g'), {'f': (hostile.dtype(), 0)}, 8, 1, 0),
    (1, (1,), hostile.dtype('f8'), False, POINTER),
    (1, (1,), None, False, [1]),
    {'max_length': 3, '_log_history': 1},
    {'__class__': Global('numpy.ndarray')},
    {'_metadata': {}},
]


def content(rng: random.Random, function: str):
    """A call of `function`: arguments all hostile, or honest ones of which one was replaced; often a state."""
    args = arguments(rng)
    if function in HONEST and rng.random() < 0.7:
        args = list(HONEST[function])
        args[rng.randrange(len(args))] = values(rng)
        args = tuple(args)
    state = None
    if rng.random() < 0.5:
        state = rng.choice(STATES) if rng.random() < 0.7 else values(rng)
        if type(state) is tuple and rng.random() < 0.6:
            state = tuple(values(rng) if rng.random() < 0.3 else part for part in state)
    return {'a': Call(function, args, state, new=rng.random() < 0.2), 'b': values(rng)}


def use(x) -> None:
    """What callers do with what they read: walk, print, compute."""
    if isinstance(x, dict):
        for value in x.values():
            use(value)
    elif isinstance(x, (list, tuple, set, frozenset)):
        for value in x:
            use(value)
    elif isinstance(x, np.ndarray | np.generic):
        repr(x), x.tolist(), x.tobytes(), np.array(x, copy=True)
    elif isinstance(x, torch.Tensor):
        x.clone(), x.float().sum() if not x.is_complex() and x.dtype != torch.bool else x.sum(), repr(x)
    elif not isinstance(x, Unreadable):
        repr(x), vars(x) if hasattr(x, '__dict__') else None


def read(data: bytes) -> bool:
    """Whether it was read; CheckpointError is the only other end."""
    try:
        use(safe_load.read(io.BytesIO(data)))
    except CheckpointError:
        return False
    return True


def packed(pickled: bytes) -> bytes:
    file = io.BytesIO()
    hostile.archive(None, file, {'0': hostile.floats(1, 2, 3, 4)}, pickled)
    return file.getvalue()


def mutated(rng: random.Random, pickled: bytes) -> bytes:
    data = bytearray(pickled)
    for _ in range(rng.choice([1, 1, 2, 4])):
        data[rng.randrange(2, len(data))] = rng.randrange(256)
    return bytes(data)


def real() -> bytes:
    """The pickle of a checkpoint with all that ours hold."""
    import argparse
    import pathlib

    file = io.BytesIO()
    torch.save(
        {
            'model': {'w': torch.zeros(4)},
            'args': argparse.Namespace(lr=np.float64(1), out=pathlib.PurePosixPath('o')),
            'rng': ('MT', np.arange(3, dtype=np.uint32)),
            's': {1},
            'text': np.array(['ab']),
        },
        file,
    )
    with zipfile.ZipFile(file) as archive:
        return archive.read('archive/data.pkl')


if __name__ == '__main__':
    torch.set_num_threads(1)
    rng, rounds = random.Random(int(sys.argv[1])), int(sys.argv[2])
    good, counts = real(), [0, 0]
    for name in CALLED:
        for _ in range(rounds):
            counts[read(packed(hostile.dumps(content(rng, name))))] += 1
    for _ in range(rounds * 20):
        counts[read(packed(mutated(rng, good)))] += 1
    print(f'{len(CALLED)} names, {counts[0]} refused, {counts[1]} read')
