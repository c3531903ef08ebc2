"""The mini recipes of segmentation and detection: fitted to a backbone and drawn scenes, trained and scored."""

import math

import pytest

from cae_bench import checkpoints
from cae_bench.datasets.describe import describe
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.runs.options import Options
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task

LAYOUT = dict(upernet='ade', mask_rcnn='coco')


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=8, num_val=6, size=64)


def fitted(protocol, scenes, **options):
    checkpoint = checkpoints.load('random:vit-48x4x3')
    info = describe('scenes', scenes, LAYOUT[protocol])
    options = dict(recipe='mini', shorten=0.006, cfg_options={'train_dataloader.batch_size': 2}) | options
    return build(Task('scenes', protocol), checkpoint, info, Options(**options))


def run(cfg, folder):
    from mmengine.runner import Runner

    cfg.work_dir, cfg.log_level = str(folder), 'WARNING'
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@pytest.mark.parametrize('protocol', LAYOUT)
def test_every_length_shrinks_together(protocol, scenes):
    whole, short = fitted(protocol, scenes, shorten=1.0), fitted(protocol, scenes, shorten=0.1)
    for cfg in (whole, short):
        warmup, cosine = cfg.param_scheduler
        assert cosine.begin == warmup.end and 0 < warmup.end < cosine.end / 4
        assert cosine.end == cfg.train_cfg.max_iters == cfg.default_hooks.checkpoint.interval
    assert short.train_cfg.max_iters == round(0.1 * whole.train_cfg.max_iters) < short.train_cfg.val_interval
    assert whole.train_cfg.val_interval * 3 == whole.train_cfg.max_iters  # three points of a curve


def test_validating_on_the_way_does_not_move_the_training(scenes, tmp_path):
    ends = []
    for interval in (1, 3):
        cfg = fitted(
            'mask_rcnn',
            scenes,
            cfg_options={
                'train_cfg.max_iters': 3,
                'train_cfg.val_interval': interval,
                'train_dataloader.batch_size': 2,
                'val_dataloader.dataset.indices': 2,
            },
        )
        ends.append(run(cfg, tmp_path / str(interval)).model.state_dict())
    assert all(value.equal(ends[1][name]) for name, value in ends[0].items())


@pytest.mark.parametrize('patch', [8, 14, 16])
def test_anchors_cover_the_image_whatever_the_patch(patch, scenes):
    """Strides of anchors and RoIs are those of the maps: the last anchor centre lies within a stride of the border."""
    import torch
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules

    register_all_modules()
    checkpoint = checkpoints.load(f'random:vit-48x4x3-p{patch}')
    cfg = build(Task('scenes', 'mask_rcnn'), checkpoint, describe('scenes', scenes, 'coco'), Options(recipe='mini'))
    model, side = MODELS.build(cfg.model).eval(), 7 * 64
    with torch.no_grad():
        maps = model.extract_feat(torch.zeros(1, 3, side, side))
    generator = model.rpn_head.prior_generator
    for level, anchors in zip(maps, generator.grid_priors([m.shape[-2:] for m in maps], device='cpu')):
        stride = side / level.shape[-1]
        last = (anchors[-1, :2] + anchors[-1, 2:]) / 2
        assert torch.allclose(last, torch.tensor(side - stride), atol=1e-3)
    for extractor in (model.roi_head.bbox_roi_extractor, model.roi_head.mask_roi_extractor):
        assert [side / m.shape[-1] for m in maps[:4]] == extractor.featmap_strides


def test_the_data_s_classes_reach_every_head(scenes):
    cfg = fitted('upernet', scenes)
    assert cfg.model.decode_head.num_classes == cfg.model.auxiliary_head.num_classes == 7
    assert cfg.model.decode_head.in_channels == [48] * 4
    assert cfg.val_dataloader.dataset.metainfo.classes[0] == 'background'
    heads = fitted('mask_rcnn', scenes).model.roi_head
    assert heads.bbox_head.num_classes == heads.mask_head.num_classes == 6


def test_segmentation_and_detection_run_one_after_the_other_in_one_process(scenes, tmp_path):
    seen = {}
    for number, protocol in enumerate(('mask_rcnn', 'upernet', 'mask_rcnn')):
        cfg = fitted(protocol, scenes)
        assert cfg.train_cfg.max_iters <= 5
        runner = run(cfg, tmp_path / str(number))
        metric = runner.val_loop.evaluator.metrics[0]
        pictures = next(hook.pictures for hook in runner.hooks if hasattr(hook, 'pictures'))
        assert [path.split('/')[-1][0] for path in pictures] == list('123456')
        last = {
            name.removeprefix('val/'): values.current()
            for name, values in runner.message_hub.log_scalars.items()
            if name.startswith('val/')
        }
        assert len(metric.report.per_image.images) == 6 and metric.report.per_image.images[0] == '00001.jpg'
        assert set(metric.report.ci95) <= set(last)
        assert all(math.isfinite(last[name]) and 0 <= last[name] <= 100 for name in last if 'time' not in name)
        seen[protocol] = set(last)
    assert {'mIoU', 'mAcc', 'aAcc'} <= seen['upernet']
    assert {'bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'segm_mAP_50'} <= seen['mask_rcnn']


def test_the_promised_metrics_are_those_reported(scenes):
    assert set(fitted('upernet', scenes).benchmark.metrics) == {'mIoU', 'mAcc', 'aAcc'}
    promised = set(fitted('mask_rcnn', scenes).benchmark.metrics)
    assert promised == {f'{k}_mAP{p}' for k in ('bbox', 'segm') for p in ('', '_50', '_75', '_s', '_m', '_l')}
