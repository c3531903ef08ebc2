"""Makes mmengine read checkpoints through safe_load: its own loaders fall back to a full unpickler, which runs code."""

import os.path as osp
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType
from urllib.parse import urlparse

import torch

from ..compat import private_names
from . import safe_load
from .pointer import pointed
from .safe_load import MapLocation

GUARDED = 'cae_bench_guard'  # set on a module whose readers are replaced
LATEST = 'find_latest_checkpoint'


def guard_mmengine() -> None:
    """From here on every checkpoint mmengine reads, by any scheme, is read safely or refused. May be called twice."""
    from mmengine.runner import checkpoint

    guard(checkpoint)


def guard(checkpoint: ModuleType) -> None:
    """Replaces what reads files in the module mmengine.runner.checkpoint."""
    if hasattr(checkpoint, GUARDED):
        return
    # Newer mmengine sends files, buffers and object stores through this one function; older ones have no fallback.
    private_names.replace_reader(checkpoint, _read)
    for name, replacement in {'load_url': _download, LATEST: find_latest_checkpoint}.items():
        setattr(checkpoint, name, replacement)
    checkpoint.CheckpointLoader.register_scheme('', load_from_local, force=True)
    for importer in ('mmengine.runner', 'mmengine.runner.runner', private_names.FLEXIBLE_RUNNER):
        module = sys.modules.get(importer)
        if hasattr(module, LATEST):
            setattr(module, LATEST, find_latest_checkpoint)
    setattr(checkpoint, GUARDED, True)


def find_latest_checkpoint(path: str) -> str | None:
    """Replaces mmengine's function of this name: what `last_checkpoint` names must be a file of its folder."""
    found = pointed(path)
    return None if found is None else str(found)


def load_from_local(filename: str, map_location: MapLocation = None):
    """Replaces mmengine's function of this name."""
    filename = osp.expanduser(filename)
    if not osp.isfile(filename):
        raise FileNotFoundError(f'{filename} can not be found.')
    return safe_load.read(filename, map_location=map_location)


def _read(file, map_location: MapLocation = None, weights_only=None):
    """mmengine's signature; weights_only=False is not obeyed."""
    return safe_load.read(file, map_location=map_location)


def _download(
    url: str,
    model_dir: str | None = None,
    map_location: MapLocation = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
):
    """torch.hub.load_state_dict_from_url, whose default is the full unpickler, with the same cache."""
    folder = Path(model_dir or Path(torch.hub.get_dir(), 'checkpoints'))
    file = folder / (file_name or PurePosixPath(urlparse(url).path).name)
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        found = torch.hub.HASH_REGEX.search(file.name) if check_hash else None
        torch.hub.download_url_to_file(url, str(file), found.group(1) if found else None, progress)
    return safe_load.read(file, map_location=map_location)
