"""A config is fitted to backbone and data: the backbone itself, and the places that the header's `fit` names."""

from typing import Any

from mmengine.config import Config

from ..checkpoints import Checkpoint, ViTSpec
from ..datasets.data_info import DataInfo
from ..errors import ConfigError
from . import places
from .header import Header
from .options import Options

# Settings of a recipe that TimmViT knows as well.
TIMM_TAKES = {'out_indices', 'drop_path_rate', 'with_cp', 'frozen', 'img_size', 'final_norm'}
# Settings by which a recipe adds parameters to a backbone: a trained one has them already, or never had.
ADDED = {'rel_pos_bias', 'layer_scale_init_value'}
# What a backbone is. A recipe says it for the tools of others, which build a model before they look at a file.
IN_FILE = {'type', 'arch', 'spec', 'checkpoint', 'checkpoint_sha256', 'qkv_bias', 'pos_embed', 'layer_scale'}


def backbone(own: dict[str, Any], ckpt: Checkpoint, eval_only: bool) -> dict[str, Any]:
    """The recipe says how the backbone is used (taps, drop path, frozen), the checkpoint what it is."""
    kept = {k: v for k, v in own.items() if k not in IN_FILE}
    if eval_only:
        kept = {k: v for k, v in kept.items() if k not in ADDED}
    if ckpt.timm_name:
        beyond = sorted(set(kept) - TIMM_TAKES)
        if beyond:
            raise ConfigError(
                f'{ckpt.source}: this recipe sets {", ".join(beyond)}, which models that only timm can '
                'build do not have. Use --recipe mini'
            )
        return dict(
            type='cae_bench.TimmViT',
            name=ckpt.timm_name,
            pretrained=ckpt.source.startswith('timm:'),
            checkpoint_sha256=ckpt.sha256,
            **kept,
        )
    weights, sha256 = (ckpt.source, ckpt.sha256) if ckpt.state_dict is not None else (None, None)
    return dict(
        type=own.get('type', 'cae_bench.ViT'),
        spec=ckpt.spec.to_dict(),
        checkpoint=weights,
        checkpoint_sha256=sha256,
        **kept,
    )


def fit(cfg: Config, header: Header, values: dict[str, Any]) -> None:
    """Puts values of data and backbone into the places that the header names; in place.

    Raises:
        ConfigError: the header asks for a value that there is not, or names a place that the config has not.
    """
    for path, name in header.fit.items():
        if name not in values:
            raise ConfigError(f'{cfg.filename}: fit asks for {name!r}, which this data set or backbone does not tell')
        try:
            place, last = places.find(cfg, path)
        except places.NoSuchPlace as missing:
            raise ConfigError(f'{cfg.filename}: its header fits {path}, but {missing}') from None
        value, old = values[name], place.get(last) if isinstance(place, dict) else place[last]
        if isinstance(old, (list, tuple)) and not isinstance(value, (list, tuple)):
            value = [value] * len(old)  # in_channels=[768] * 4 is fitted element by element
        place[last] = value


def values(spec: ViTSpec, data: DataInfo, options: Options) -> dict[str, Any]:
    """What a header's `fit` may ask for, by name."""
    common: dict[str, Any] = dict(
        embed_dims=spec.embed_dims,
        num_layers=spec.num_layers,
        num_heads=spec.num_heads,
        mean=spec.mean,
        std=spec.std,
        mean255=[255 * m for m in spec.mean],
        std255=[255 * s for s in spec.std],
        data_root=data.root,
        classes=data.classes,
        num_classes=len(data.classes),
        strides=_strides(spec.patch_size, 4),
        anchor_strides=_strides(spec.patch_size, 5),
        seed=options.seed,
        limit=options.limit,
    )
    return {**common, **data.extra}


def _strides(patch_size: int, levels: int) -> list[float]:
    """Of a pyramid over the patches, finest first: a quarter of a patch, then doubling."""
    return [stride // 4 if stride % 4 == 0 else stride / 4 for stride in (patch_size * 2**n for n in range(levels))]
