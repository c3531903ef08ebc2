"""`random:vit-tiny`, `random:like:FILE`: no weights, only a spec. The floor that every pretraining must beat.

The model draws its own weights from the run's seed: `models.ViT.reset_parameters`, CAE's published start, whoever the
spec is of (layer scale, where there is one, starts at 0.1). A model that only timm builds starts as timm has it.
"""

from dataclasses import replace

from ..errors import CheckpointError
from ._arch import Arch, check_arch, parse_arch
from ._conversion import CAE_HEADS, MAE_HEADS
from .checkpoint import Checkpoint, LoadReport
from .spec import ViTSpec

LIKE = 'random:like:'


def load(name: str, num_heads: int | None = None, wanted: Arch | None = None) -> Checkpoint:
    """CAE's settings (fixed sin-cos, q and v bias, layer scale) in the named size, with CAE's number of heads."""
    arch = parse_arch(name)
    check_arch(wanted, arch.embed_dims, arch.num_layers)
    size = (arch.embed_dims, arch.num_layers)
    heads = arch.num_heads or {**MAE_HEADS, **CAE_HEADS}.get(size) if num_heads is None else num_heads
    if heads is None:
        raise CheckpointError(
            f'random:{name} does not say the number of heads: write '
            f'random:vit-{size[0]}x{size[1]}xHEADS or pass --num-heads N (Python: num_heads=N).'
        )
    if heads < 1 or arch.embed_dims % heads or arch.embed_dims % 4:
        raise CheckpointError(
            f'random:{name}: the width {arch.embed_dims} must be divisible by its {heads} heads and by 4.'
        )
    patch = arch.patch_size or 16
    # 224 px, or the nearest size below it that holds whole patches
    side = 224 // patch * patch
    spec = ViTSpec('random', *size, heads, patch_size=patch, img_size=(side, side))
    return Checkpoint(spec, None, LoadReport('random weights'), None, f'random:{name}')


def likened(source: str) -> str:
    """'random:like:FILE' -> 'FILE', or whatever else `load` takes and holds weights."""
    name = source.removeprefix(LIKE)
    if not name:
        raise CheckpointError(f'{LIKE} names no file: write random:like:FILE')
    if name.startswith('random:'):
        raise CheckpointError(f'{source}: {name} holds no weights to leave out; use {name}.')
    return name


def like(trained: Checkpoint) -> Checkpoint:
    """The architecture of a trained checkpoint without its weights: every field of its spec is kept.

    So is the family, by which a recipe is found: a baseline is trained by the recipe of what it is a baseline of.
    """
    return replace(
        trained,
        state_dict=None,
        sha256=None,
        source=f'{LIKE}{trained.name}',
        report=LoadReport(f'random weights in the architecture of {trained.name}'),
    )
