"""`timm:NAME`: timm's own pretrained weights, in our ViT where it holds them, else left to timm (timm_name)."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Protocol, cast

import numpy as np
from torch import Tensor, nn

from ..errors import CheckpointError
from ._arch import Arch, check_arch
from ._infer import infer_spec
from ._strict import check
from .checkpoint import Checkpoint, LoadReport
from .formats import find_format
from .spec import ViTSpec


class TimmMlp(Protocol):
    act: nn.Module


class TimmAttention(Protocol):
    num_heads: int


class TimmBlock(Protocol):
    attn: TimmAttention
    mlp: TimmMlp
    norm1: nn.Module


class TimmPatchEmbed(Protocol):
    patch_size: tuple[int, int]
    grid_size: tuple[int, int]


class TimmModel(Protocol):
    """What timm's ViTs have in common, as far as it is used here: VisionTransformer, Beit, Eva."""

    embed_dim: int
    num_prefix_tokens: int
    pretrained_cfg: dict
    blocks: Sequence[TimmBlock]
    patch_embed: TimmPatchEmbed
    norm: nn.Module

    def forward_features(self, x: Tensor) -> Tensor: ...

    def forward_intermediates(self, x: Tensor, **settings) -> list: ...

    def set_grad_checkpointing(self, enable: bool = True) -> None: ...


def load(name: str, num_heads: int | None = None, wanted: Arch | None = None) -> Checkpoint:
    """Downloads (or takes from timm's cache) and converts; CheckpointError for an unknown name or without network."""
    model = create(name)
    own = spec_of(model, name)
    check_arch(wanted, own.embed_dims, own.num_layers)
    if num_heads not in (None, own.num_heads):
        raise CheckpointError(f'timm:{name} has {own.num_heads} heads, not {num_heads}: leave the number out.')
    weights = model.state_dict()
    sha256 = hash_of(weights)
    try:
        spec, weights, report = as_ours(model, own)
    except CheckpointError as reason:
        report = LoadReport('timm model', 'timm', notes=(f'built by timm: {reason}',))
        return Checkpoint(own, None, report, sha256, f'timm:{name}', timm_name=name)
    return Checkpoint(spec, weights, report, sha256, f'timm:{name}')


def create(name: str) -> nn.Module:
    """The pretrained timm model."""
    import timm

    if not name.startswith('hf-hub:') and not timm.is_model(name):
        known = timm.list_models('*vit*') + timm.list_models('*beit*') + timm.list_models('*deit*')
        near = get_close_matches(name.split('.')[0], dict.fromkeys(known), n=3, cutoff=0.4)
        hint = f' Did you mean {", ".join(near)}?' if near else ''
        raise CheckpointError(f'timm:{name}: timm has no such model.{hint}')
    try:
        return timm.create_model(name, pretrained=True).eval()
    except Exception as error:  # hub, network, file system and timm each raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise CheckpointError(
            f'timm:{name}: the pretrained weights could not be downloaded ({reason}). Without '
            'network pass the weight file (.safetensors or .pth) in place of timm:NAME.'
        ) from None


def plain_vit(model: nn.Module, name: str) -> TimmModel:
    """The model as what it is; CheckpointError for anything that is no ViT of one width."""
    blocks, patch = getattr(model, 'blocks', None), getattr(model, 'patch_embed', None)
    first = next(iter(blocks), None) if isinstance(blocks, nn.Sequential | nn.ModuleList) else None
    attention = getattr(first, 'attn', None)
    if not hasattr(attention, 'num_heads') or not hasattr(patch, 'grid_size') or not hasattr(model, 'embed_dim'):
        raise CheckpointError(
            f'timm:{name} is a {type(model).__name__}, not a plain vision transformer; those are '
            'named vit_*, deit*, beit* or eva*.'
        )
    return cast(TimmModel, model)


def spec_of(module: nn.Module, name: str) -> ViTSpec:
    """What the built model says of itself; CheckpointError as of `plain_vit`."""
    model = plain_vit(module, name)
    cfg, side = model.pretrained_cfg, model.patch_embed.patch_size[0]
    rows, columns = model.patch_embed.grid_size
    absolute = getattr(model, 'pos_embed', None) is not None
    return ViTSpec(
        'timm',
        model.embed_dim,
        len(model.blocks),
        model.blocks[0].attn.num_heads,
        patch_size=side,
        img_size=(rows * side, columns * side),
        in_channels=cfg.get('input_size', (3,))[0],
        qkv_bias='full',
        pos_embed='learned' if absolute else 'none',
        layer_scale=False,
        cls_token=getattr(model, 'cls_token', None) is not None,
        final_norm=not isinstance(model.norm, nn.Identity),
        norm_eps=float(getattr(model.blocks[0].norm1, 'eps', 1e-6)),
        mean=tuple(cfg['mean']),
        std=tuple(cfg['std']),
    )


def as_ours(model: nn.Module, own: ViTSpec) -> tuple[ViTSpec, dict[str, Tensor], LoadReport]:
    """Converts a timm model that our ViT equals; CheckpointError says what differs.

    Args:
        own: what the model says of itself.
    """
    if type(model).__name__ not in ('VisionTransformer', 'Beit'):
        raise CheckpointError(f'{type(model).__name__} is a timm class of its own')
    activation = cast(TimmModel, model).blocks[0].mlp.act
    if not isinstance(activation, nn.GELU) or activation.approximate != 'none':
        raise CheckpointError(f'its MLP uses {type(activation).__name__}, not exact GELU')
    fmt = find_format(model.state_dict())
    done = fmt.convert(model.state_dict())
    spec = replace(infer_spec(done, own.num_heads), norm_eps=own.norm_eps, mean=own.mean, std=own.std)
    missing = check(done, spec)
    weights = {key: tensor.detach().float().clone() for key, tensor in done.state_dict.items()}
    notes = tuple(n for n in done.notes if 'mean and std' not in n)
    return spec, weights, LoadReport(fmt.name, 'timm', done.used, done.dropped, missing, notes=notes)


def hash_of(weights: dict[str, Tensor]) -> str:
    """sha256 over names, shapes and values: what a hub served, whatever file it came in."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        values = np.ascontiguousarray(weights[key].detach().float().numpy())
        digest.update(f'{key} {values.shape} '.encode())
        digest.update(values.data)
    return digest.hexdigest()
