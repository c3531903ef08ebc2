"""load(): read safely, find the one format that matches, convert, check strictly."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..errors import CheckpointError
from . import random_init, safe_load, timm_hub
from ._arch import Arch, check_arch, parse_arch
from ._conversion import StateDict
from ._infer import infer_spec, size_of
from ._pretrain_epochs import pretrain_epochs
from ._strict import check
from ._tensors import Unreadable
from .checkpoint import Checkpoint, LoadReport
from .formats import find_format
from .own_spec import own_spec, with_own_spec
from .spec import HALF, IMAGENET
from .unchanged import unchanged
from .values import check_dense, check_floating

CONTAINERS = ('model', 'module', 'state_dict', 'teacher')  # in the order the official loaders look for them
PIXEL_FLAG = 'imagenet_default_mean_and_std'  # an argument of CAE's and BEiT's scripts
NO_CHECKSUMS = 'written without checksums (torch.serialization.set_crc32_options(False)): damage cannot be noticed'
WRAPPERS = ('module.', '_orig_mod.')  # left by DistributedDataParallel and torch.compile


def load(source: str | Path, num_heads: int | None = None, arch: str | None = None) -> Checkpoint:
    """Reads, recognises, converts and checks a checkpoint; raises CheckpointError.

    Args:
        source: a file (.pth .pt .bin .pkl .safetensors), 'random:vit-tiny' (any arch name, or 'random:vit-128x4x4-p8':
            width x depth x heads - patch), 'timm:NAME', or 'random:like:' and a file or timm:NAME, for random weights in
            its architecture.
        num_heads: needed where neither the tensors nor a published size tell it.
        arch: what the file is expected to hold ('vit-base', 'base', 'vit-48x4x3'); another size is an error.
    """
    wanted = parse_arch(arch) if arch else None
    heads = wanted.num_heads if wanted and num_heads is None else num_heads
    kind, _, rest = str(source).partition(':')
    if str(source).startswith(random_init.LIKE):
        return random_init.like(load(random_init.likened(str(source)), num_heads, arch))
    if kind == 'random':
        return random_init.load(rest, heads, wanted)
    if kind == 'timm':
        return timm_hub.load(rest, heads, wanted)
    path = Path(source).expanduser()
    with unchanged(path):
        return _load_file(path, str(source), heads, wanted)


def _load_file(path: Path, source: str, heads: int | None, wanted: Arch | None) -> Checkpoint:
    content = safe_load.read(path, mmap=True)
    try:
        sd, container, others = find_state_dict(content)
        own = own_spec(content)
        heads = own.get('num_heads') if heads is None else heads
        ckpt = convert(sd, container, others, source, safe_load.sha256(path), heads, wanted)
        ckpt = replace(ckpt, report=replace(ckpt.report, other_weights=other_weights(content, container)))
        if not safe_load.has_checksums(path):
            ckpt = replace(ckpt, report=replace(ckpt.report, notes=(*ckpt.report.notes, NO_CHECKSUMS)))
        ckpt = replace(ckpt, pretrain_epochs=pretrain_epochs(content, ckpt.report.format))
        return with_own_spec(ckpt if 'mean' in own else _with_pixels_of_args(ckpt, content), own)
    except CheckpointError as error:
        raise CheckpointError(f'{source}: {error}') from None


def _with_pixels_of_args(ckpt: Checkpoint, content: Mapping) -> Checkpoint:
    """Pixel statistics are in no tensor, but the training arguments of CAE and BEiT files name them."""
    args = content.get('args')
    flag = args.get(PIXEL_FLAG) if isinstance(args, Mapping) else getattr(args, PIXEL_FLAG, None)
    if isinstance(flag, bool):
        pixels, note = IMAGENET if flag else HALF, f'mean and std: told by args.{PIXEL_FLAG}={flag}'
    elif ckpt.spec.mean == HALF['mean']:
        pixels = HALF
        note = (
            'mean and std: 0.5 assumed, as of ImageNet-22k releases; the file does not say. BEiT pretrained on '
            "ImageNet-1k has ImageNet's"
        )
    else:
        return ckpt
    return replace(
        ckpt, spec=replace(ckpt.spec, **pixels), report=replace(ckpt.report, notes=(*ckpt.report.notes, note))
    )


def convert(
    sd: StateDict,
    container: str,
    others: tuple[str, ...],
    source: str,
    sha256: str | None,
    num_heads: int | None,
    wanted: Arch | None,
) -> Checkpoint:
    """A state dict of any known format -> Checkpoint."""
    check_dense(sd)
    sd, wrapper = unwrap(sd)
    fmt = find_format(sd)
    done = fmt.convert(sd)
    check_floating({wrapper + key: sd[key] for key in done.used})
    check_arch(wanted, *size_of(done.state_dict))
    spec = infer_spec(done, num_heads)
    missing = check(done, spec)
    # A copy in float32: half-precision files load the same, and nothing points into a file that may be rewritten.
    weights = {key: tensor.detach().to(torch.float32, copy=True) for key, tensor in done.state_dict.items()}
    report = LoadReport(
        fmt.name,
        container + (f', prefix {wrapper} stripped' if wrapper else ''),
        {wrapper + k: v for k, v in done.used.items()},
        {wrapper + k: v for k, v in done.dropped.items()},
        missing,
        others,
        tuple(done.notes),
    )
    return Checkpoint(spec, weights, report, sha256, source)


def find_state_dict(content) -> tuple[StateDict, str, tuple[str, ...]]:
    """(state dict, name of the entry that held it, names of the other entries)."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f'it holds a {type(content).__name__}, not a dictionary of tensors.')
    for entry in CONTAINERS:
        if _tensors(content.get(entry)):
            return _tensors(content[entry]), entry, tuple(str(k) for k in content if k != entry)
    if not _tensors(content):
        raise CheckpointError(f'it holds no tensors; its entries are {[str(k) for k in content][:6]}.')
    return (
        _tensors(content),
        'bare',
        tuple(str(k) for k, v in content.items() if not isinstance(v, (Tensor, Unreadable))),
    )


def other_weights(content: Mapping, container: str) -> dict[str, int]:
    """Name -> number of tensors, of the entries beside the container that are state dicts too: teacher, EMA, student."""
    used = container.split(',')[0]
    counts = {str(name): len(_tensors(entry)) for name, entry in content.items() if str(name) != used}
    return {name: count for name, count in counts.items() if count}


def _tensors(entry) -> StateDict:
    """Those that cannot be read as well: `check_floating` names them where they are used."""
    items = entry.items() if isinstance(entry, Mapping) else ()
    found = {k: v for k, v in items if isinstance(k, str) and isinstance(v, (Tensor, Unreadable))}
    return cast(StateDict, found)


def unwrap(sd: StateDict) -> tuple[StateDict, str]:
    """Strips prefixes that every key carries because the model was wrapped."""
    stripped = ''
    while wrapper := _common_wrapper(sd):
        sd, stripped = {key.removeprefix(wrapper): tensor for key, tensor in sd.items()}, stripped + wrapper
    return sd, stripped


def _common_wrapper(sd: StateDict) -> str | None:
    for wrapper in WRAPPERS:
        if all(key.startswith(wrapper) for key in sd):
            return wrapper
    return None
