"""From constructor arguments to a checked ViTSpec; everything wrong is said here, before a model is built."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace

from ..checkpoints import load
from ..checkpoints.spec import ViTSpec
from ..errors import ConfigError

CHOICES = {
    'qkv_bias': ('qv', 'full', 'none'),
    'pos_embed': ('sincos_row', 'sincos_col', 'learned', 'none'),
    'rel_pos_bias': ('none', 'shared', 'block'),
}
# Below the first block, so with the smallest step under layer decay. The last two are DeiT's and DINOv2's.
EMBEDDINGS = ('cls_token', 'mask_token', 'pos_embed', 'patch_embed', 'dist_token', 'reg_token')


def resolve_spec(spec: ViTSpec | dict | None, arch: str | None, checkpoint: str | None, overrides: dict) -> ViTSpec:
    """The spec given, else the checkpoint's, else the arch's; single fields are then overridden.

    Raises:
        ConfigError: nothing says what to build, or a field is unknown or impossible.
    """
    unknown = set(overrides) - {f.name for f in fields(ViTSpec)}
    if unknown:
        raise ConfigError(
            f'ViT has no argument {sorted(unknown)}; fields of a spec are {[f.name for f in fields(ViTSpec)]}'
        )
    overrides = {k: v for k, v in overrides.items() if v is not None}
    if 'img_size' in overrides:
        overrides['img_size'] = pair(overrides['img_size'])
    shape = {'embed_dims', 'num_layers', 'num_heads'}
    if spec is not None:
        base = spec if isinstance(spec, ViTSpec) else ViTSpec.from_dict(spec)
    elif checkpoint is not None:
        base = load(checkpoint, num_heads=overrides.get('num_heads'), arch=full_arch(arch)).spec
    elif arch is not None:
        base = load(f'random:{full_arch(arch)}', num_heads=overrides.get('num_heads')).spec
    elif shape <= set(overrides):
        base = ViTSpec(**{'family': 'random', **overrides})
    else:
        raise ConfigError(
            f'ViT needs one of spec=, checkpoint=, arch= (vit-tiny, -small, -base, -large), or all of {sorted(shape)}'
        )
    return check_spec(replace(base, **overrides))


def full_arch(arch: str | None) -> str | None:
    return arch if arch is None or arch.startswith('vit-') else f'vit-{arch}'


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """224 -> (224, 224); a pair is (height, width)."""
    height, width = (size, size) if isinstance(size, int) else (int(side) for side in size)
    return height, width


def check_spec(spec: ViTSpec) -> ViTSpec:
    for name, allowed in CHOICES.items():
        if getattr(spec, name) not in allowed:
            raise ConfigError(f'{name}={getattr(spec, name)!r} is not one of {", ".join(allowed)}')
    for name in ('embed_dims', 'num_layers', 'num_heads', 'patch_size', 'in_channels', 'mlp_ratio', 'norm_eps'):
        if not getattr(spec, name) > 0:
            raise ConfigError(f'{name}={getattr(spec, name)} must be a positive number')
    if spec.embed_dims % spec.num_heads:
        raise ConfigError(f'embed_dims={spec.embed_dims} cannot be divided into num_heads={spec.num_heads} heads')
    if spec.pos_embed.startswith('sincos') and spec.embed_dims % 4:
        raise ConfigError(f'embed_dims={spec.embed_dims} must be a multiple of 4 for sin-cos positions')
    if min(spec.img_size) < spec.patch_size:
        raise ConfigError(f'img_size={spec.img_size} is smaller than one patch of {spec.patch_size} pixels')
    return spec


def resolve_indices(out_indices: int | float | Sequence[int | float], depth: int) -> tuple[int, ...]:
    """Block numbers from 0; -1 is the last; a float in (0, 1] is a fraction of the depth (0.25 of 12 blocks -> 2)."""
    if isinstance(out_indices, (int, float)):
        out_indices = (out_indices,)
    indices = tuple(_block_number(i, depth) for i in out_indices)
    if not indices:
        raise ConfigError('out_indices is empty; name at least one block, -1 for the last')
    return indices


def _block_number(i: int | float, depth: int) -> int:
    if isinstance(i, float) and 0 < i <= 1:
        return max(int(i * depth + 1e-6) - 1, 0)  # 1e-6: a third of 12 blocks is 4, whatever floats think
    if not isinstance(i, int) or not -depth <= i < depth:
        raise ConfigError(
            f'out_indices holds {i!r}; this ViT has blocks 0 to {depth - 1} '
            '(-1 is the last, a float in (0, 1] a fraction of the depth)'
        )
    return i % depth


def check_rate(name: str, rate: float) -> float:
    if not (math.isfinite(rate) and 0 <= rate < 1):
        raise ConfigError(f'{name}={rate} must be in [0, 1)')
    return rate


def layer_id(name: str, depth: int) -> tuple[int, int]:
    """(layer, number of layers) of a parameter for layer decay: 0 tokens and embeddings, i + 1 block i, last the rest.

    Source: BEiT's and CAE's `optim_factory.py`.
    """
    parts = name.split('.')
    if parts[0] in EMBEDDINGS:
        return 0, depth + 2
    if parts[0] == 'blocks':
        return int(parts[1]) + 1, depth + 2
    return depth + 1, depth + 2
