"""Makes mmengine read checkpoints through safe_load: its own loaders fall back to a full unpickler, which runs code."""
import functools
import os.path as osp

import torch

from . import safe_load
from ._allowed import allowed_globals


def guard_mmengine() -> None:
    """From here on every checkpoint mmengine reads, by any scheme, is read safely or refused. May be called twice."""
    from mmengine.runner import checkpoint
    if getattr(checkpoint, '_cae_bench_guard', False):
        return
    # Newer mmengine sends files, buffers and object stores through this one function; older ones have no fallback.
    checkpoint._safe_torch_load = _read
    checkpoint.load_url = functools.wraps(checkpoint.load_url)(_download(checkpoint.load_url))
    checkpoint.CheckpointLoader.register_scheme('', load_from_local, force=True)
    checkpoint._cae_bench_guard = True


def load_from_local(filename: str, map_location=None):
    """Replaces mmengine's function of this name."""
    filename = osp.expanduser(filename)
    if not osp.isfile(filename):
        raise FileNotFoundError(f'{filename} can not be found.')
    return safe_load.read(filename, map_location=map_location)


def _read(file, map_location=None, weights_only=None):
    """mmengine's signature; weights_only=False is not obeyed."""
    return safe_load.read(file, map_location=map_location)


def _download(load_url):
    def safely(url, *args, **kwargs):                        # torch.hub's default is the full unpickler
        with torch.serialization.safe_globals(allowed_globals()):
            return load_url(url, *args, **{**kwargs, 'weights_only': True})
    return safely
