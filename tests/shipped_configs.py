"""Every shipped recipe of a protocol, fitted to a backbone of full size and to data that is only described."""

from dataclasses import replace
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from cae_bench import checkpoints
from cae_bench.datasets.data_info import DataInfo
from cae_bench.paths import shipped
from cae_bench.registry import MODELS
from cae_bench.runs import places
from cae_bench.runs.find import read_header
from cae_bench.runs.options import Options
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task, protocols

FILES = [path for protocol in protocols() for path in sorted((shipped('configs') / protocol).glob('*.py'))]
# What the released checkpoint of each family is, where it is not the default.
FAMILIES = {
    'cae': dict(pos_embed='sincos_row', qkv_bias='qv', layer_scale=True),
    'mae': dict(pos_embed='sincos_col', qkv_bias='full', layer_scale=False),
    'beit': dict(
        pos_embed='none',
        qkv_bias='qv',
        layer_scale=True,
        rel_pos_bias='shared',
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
    'cae_v2': dict(pos_embed='sincos_row', qkv_bias='qv', layer_scale=True),
    'random': dict(),
}
PLACES = {
    'image_folder': dict(train_dir='train', val_dir='val'),
    'ade': dict(
        train_img='images/train',
        val_img='images/val',
        train_ann='annotations/train',
        val_ann='annotations/val',
        img_suffix='.jpg',
        seg_map_suffix='.png',
        reduce_zero_label=False,
    ),
    'coco': dict(
        train_img='images/train',
        val_img='images/val',
        train_ann='annotations/instances_train.json',
        val_ann='annotations/instances_val.json',
    ),
}


def name_of(path: Path) -> str:
    return f'{path.parent.name}/{path.stem}'


def checkpoint(family: str, arch: str) -> checkpoints.Checkpoint:
    """Random weights in the form of a released checkpoint: 'mae', 'vit-large'."""
    plain = checkpoints.load(
        f'random:{arch}', num_heads=12 if family.startswith('cae') and arch != 'vit-large' else None
    )
    return replace(plain, spec=replace(plain.spec, family=family, **FAMILIES[family]))


def archs(path: Path) -> list[tuple[str, str]]:
    """(family, arch) of the backbones that a recipe is for, at full size."""
    family, _, arch = path.stem.rpartition('_')
    if family:
        return [(family, arch)]
    own = [a for a in ('vit-base', 'vit-large') if a == path.stem or not (path.parent / f'{a}.py').is_file()]
    return [('random', a) for a in (own if path.stem != 'mini' else ('vit-base', 'vit-large'))]


def described(layout: str) -> DataInfo:
    return DataInfo('own', 'somewhere/own', layout, ('one', 'two', 'three'), 40, 20, 'hash', PLACES[layout])


def fitted(path: Path, family: str, arch: str, **options) -> Config:
    """The recipe as `cae-bench run` would resolve it."""
    recipe = 'mini' if path.stem == 'mini' else 'paper'
    cfg = build(
        Task('own', path.parent.name),
        checkpoint(family, arch),
        described(read_header(path).layout),
        Options(recipe=recipe, **options),
    )
    assert Path(cfg.filename) == path, f'{family} {arch} is given {cfg.filename}'
    return cfg


def built(cfg: Config) -> torch.nn.Module:
    """The model at full size, without memory for its weights."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.device('meta'):
        return MODELS.build(cfg.model)


def at(cfg: Config, path: str):
    return places.get(cfg, path)
