"""`random:vit-tiny`: no weights, only a spec. The model draws its own; the floor that every pretraining must beat."""
from ..errors import CheckpointError
from ._arch import Arch, check_arch, parse_arch
from ._conversion import CAE_HEADS, MAE_HEADS
from .checkpoint import Checkpoint, LoadReport
from .spec import ViTSpec


def load(name: str, num_heads: int | None = None, wanted: Arch | None = None) -> Checkpoint:
    """CAE's settings (fixed sin-cos, q and v bias, layer scale) in the named size, with CAE's number of heads."""
    arch = parse_arch(name)
    check_arch(wanted, arch.embed_dims, arch.num_layers)
    size = (arch.embed_dims, arch.num_layers)
    heads = arch.num_heads or {**MAE_HEADS, **CAE_HEADS}.get(size) if num_heads is None else num_heads
    if heads is None:
        raise CheckpointError(f'random:{name} does not say the number of heads: write '
                              f'random:vit-{size[0]}x{size[1]}xHEADS or pass --num-heads N (Python: num_heads=N).')
    if heads < 1 or arch.embed_dims % heads or arch.embed_dims % 4:
        raise CheckpointError(f'random:{name}: the width {arch.embed_dims} must be divisible by its {heads} heads and '
                              'by 4.')
    patch = arch.patch_size or 16
    # 224 px, or the nearest size below it that holds whole patches
    side = 224 // patch * patch
    spec = ViTSpec('random', *size, heads, patch_size=patch, img_size=(side, side))
    return Checkpoint(spec, None, LoadReport('random weights'), None, f'random:{name}')
