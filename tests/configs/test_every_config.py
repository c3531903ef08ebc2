"""Every recipe that is shipped: found, fitted, and built at full ViT-B and ViT-L size, with pipelines and optimizer."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from shipped_configs import FILES, archs, at, built, fitted, name_of

from cae_bench import compat  # noqa: F401  mmdet alone cannot be imported where mmcv has no compiled ops
from cae_bench.datasets.layouts.ade import ADE20K_CLASSES
from cae_bench.datasets.layouts.coco import COCO_CLASSES
from cae_bench.registry import LOOPS, METRICS, PARAM_SCHEDULERS, TRANSFORMS
from cae_bench.tasks import protocols

CASES = [
    pytest.param(path, *backbone, id=f'{name_of(path)}-{backbone[1]}') for path in FILES for backbone in archs(path)
]
BLOCKS = {'vit-tiny': (12, 192), 'vit-small': (12, 384), 'vit-base': (12, 768), 'vit-large': (24, 1024)}


def test_every_protocol_has_a_recipe_for_base_and_large():
    for protocol in protocols():
        stems = {path.stem for path in FILES if path.parent.name == protocol}
        assert stems and (
            stems <= {'mini'}
            or 'vit-base' in stems
            or {f'{f}_vit-{a}' for f in ('cae', 'mae') for a in ('base', 'large')} & stems
        ), protocol


@pytest.mark.parametrize('path, family, arch', CASES)
def test_a_recipe_builds_at_full_size(path, family, arch):
    cfg = fitted(path, family, arch)
    model = built(cfg)
    depth, width = BLOCKS[arch]
    assert (model.backbone.num_layers, model.backbone.embed_dims) == (depth, width)
    assert model.backbone.spec.family == family
    if 'constructor' not in cfg.optim_wrapper or 'LayerDecay' in cfg.optim_wrapper.constructor:
        check_schedule(cfg, build_optim_wrapper(model, cfg.optim_wrapper))
    check_pipelines(cfg)
    if isinstance(cfg.val_evaluator, dict):
        assert METRICS.build(cfg.val_evaluator)
    assert LOOPS.get(cfg.train_cfg.get('type', 'EpochBasedTrainLoop')) and LOOPS.get(cfg.val_cfg.type)


def check_schedule(cfg: Config, optim) -> None:
    assert any(p.requires_grad for group in optim.optimizer.param_groups for p in group['params'])
    length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters
    for scheduler in cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else [cfg.param_scheduler]:
        built = PARAM_SCHEDULERS.build(
            dict({'end': length, **scheduler}), default_args=dict(optimizer=optim, epoch_length=100)
        )
        built.step()


def check_pipelines(cfg: Config) -> None:
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            for step in cfg.get(loader, {}).get('dataset', {}).get('pipeline', ()):
                assert callable(TRANSFORMS.build(step)), step


@pytest.mark.parametrize('path, family, arch', CASES)
def test_data_and_backbone_reach_every_place_a_recipe_names(path, family, arch):
    cfg = fitted(path, family, arch, limit=7)
    fit = cfg.benchmark.fit
    assert 'somewhere/own' in str(cfg.train_dataloader) and 'somewhere/own' in str(cfg.val_dataloader)
    assert {at(cfg, place) for place, what in fit.items() if what == 'num_classes'} == {3}
    assert {at(cfg, place) for place, what in fit.items() if what == 'limit'} == {7}
    for place, what in fit.items():
        if what == 'embed_dims':
            value = at(cfg, place)
            assert set(value if isinstance(value, (list, tuple)) else [value]) == {BLOCKS[arch][1]}, place
    assert 'data/' not in str([cfg.train_dataloader, cfg.val_dataloader, cfg.get('test_dataloader')])


@pytest.mark.parametrize('path', [pytest.param(p, id=name_of(p)) for p in FILES])
def test_every_length_named_in_a_header_can_be_scaled(path):
    whole, short = (fitted(path, *archs(path)[0], shorten=factor) for factor in (1.0, 0.5))
    for place in whole.benchmark.get('schedule', ()):
        assert at(short, place) == max(1, round(at(whole, place) / 2)), place


@pytest.mark.parametrize('amp, wrapper', [('bf16', 'cae_bench.BFloat16OptimWrapper'), ('fp16', 'AmpOptimWrapper')])
def test_precision_is_asked_for_and_not_a_part_of_the_recipe(amp, wrapper):
    for path in FILES:
        if path.stem == 'mini' or path.parent.name not in ('finetune', 'upernet', 'mask_rcnn'):
            continue
        plain, half = (fitted(path, *archs(path)[0], amp=a) for a in ('fp32', amp))
        assert plain.optim_wrapper.type == 'OptimWrapper' and plain.benchmark.published_amp == 'fp16'
        assert (half.optim_wrapper.type, half.optim_wrapper.get('dtype', 'float16')) == (wrapper, 'float16')
        assert half.optim_wrapper.constructor == plain.optim_wrapper.constructor


def test_full_size_models_take_no_memory():
    path = next(p for p in FILES if name_of(p) == 'upernet/cae_vit-large')
    assert all(p.device == torch.device('meta') for p in built(fitted(path, 'cae', 'vit-large')).parameters())


OWN_FAMILY = [pytest.param(path, *archs(path)[0], id=name_of(path)) for path in FILES if '_vit-' in path.stem]


@pytest.mark.parametrize('path, family, arch', OWN_FAMILY)
def test_a_recipe_as_it_stands_is_the_network_that_its_runs_save(path, family, arch):
    """mmseg's and mmdet's own tools read the file as it is, and load weights without asking what is missing."""
    plain, run = (built(cfg).state_dict() for cfg in (Config.fromfile(path), fitted(path, family, arch)))
    assert set(plain) == set(run)
    differing = [name for name, tensor in plain.items() if tensor.shape != run[name].shape]
    assert not [name for name in differing if name.startswith('backbone.')]


def test_recipes_as_they_stand_name_the_official_classes():
    from mmdet.datasets import CocoDataset

    ade, coco = (
        Config.fromfile(next(p for p in FILES if name_of(p) == name))
        for name in ('upernet/cae_vit-base', 'mask_rcnn/cae_vit-base')
    )
    assert CocoDataset.METAINFO['classes'] == COCO_CLASSES
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        assert ade[loader].dataset.metainfo.classes == ADE20K_CLASSES
        assert coco[loader].dataset.type == 'mmdet.CocoDataset' and not coco[loader].dataset.metainfo
    assert (ade.model.decode_head.num_classes, coco.model.roi_head.bbox_head.num_classes) == (150, 80)
