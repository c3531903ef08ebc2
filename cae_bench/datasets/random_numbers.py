"""Random numbers by place: what is drawn depends on a key such as (seed, update, micro-batch), not on earlier draws."""

import hashlib
import random

import numpy as np
import torch


def seed_by(*key: int | str) -> None:
    """Seeds the global generators of Python, NumPy and PyTorch (every device) from a hash of the key."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=24).digest()
    random.seed(digest[:8])
    np.random.seed(np.frombuffer(digest[8:16], np.uint32))
    torch.manual_seed(int.from_bytes(digest[16:], 'little') >> 1)
