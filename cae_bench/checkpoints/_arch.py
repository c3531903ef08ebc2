"""Names of sizes: 'vit-base', 'base', 'vit-128x4', 'vit-128x4x4-p8' (width x depth x heads - patch)."""

import re
from difflib import get_close_matches
from typing import NamedTuple

from ..errors import CheckpointError, ConfigError
from .spec import ARCHS


class Arch(NamedTuple):
    name: str
    embed_dims: int
    num_layers: int
    num_heads: int | None = None
    patch_size: int | None = None


def parse_arch(name: str) -> Arch:
    """Reads a size name; ConfigError with the nearest names for an unknown one."""
    short = name.lower().removeprefix('vit-')
    numbers = re.fullmatch(r'(\w+?)(?:x(\d+)(?:x(\d+))?)?(?:-p(\d+))?', short)
    first, depth, heads, patch = numbers.groups() if numbers else (short, None, None, None)
    if first in ARCHS and not depth:
        return Arch(name, *ARCHS[first], patch_size=_int(patch))
    if first.isdigit() and depth:
        return Arch(name, int(first), int(depth), _int(heads), _int(patch))
    near = get_close_matches(first, ARCHS, n=2, cutoff=0.3) or list(ARCHS)
    raise ConfigError(
        f'unknown arch {name!r}. Did you mean {" or ".join(f"vit-{n}" for n in near)}? '
        'Other sizes read width x depth x heads, as in vit-128x4x4 or vit-128x4x4-p8.'
    )


def check_arch(wanted: Arch | None, embed_dims: int, num_layers: int) -> None:
    """CheckpointError where the tensors are of another size than was asked for."""
    if wanted and (wanted.embed_dims, wanted.num_layers) != (embed_dims, num_layers):
        named = {dims: f' (vit-{name})' for name, dims in ARCHS.items()}.get((embed_dims, num_layers), '')
        raise CheckpointError(
            f'arch {wanted.name} has width {wanted.embed_dims} and depth {wanted.num_layers}, but '
            f'this file has width {embed_dims} and depth {num_layers}{named}: leave arch out '
            'or name the right one.'
        )


def _int(text: str | None) -> int | None:
    return int(text) if text else None
