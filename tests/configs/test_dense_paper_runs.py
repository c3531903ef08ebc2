"""The papers' dense recipes run: a small ViT, drawn scenes, an iteration or two, and everyone's tools."""

import math

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from cae_bench import checkpoints
from cae_bench.datasets.describe import describe
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.paths import shipped
from cae_bench.runs.find import find_config
from cae_bench.runs.options import Options
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task

SMALL = 'random:vit-24x12x2'


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=6, num_val=6, size=64)


def small(protocol, scenes, monkeypatch, **changes):
    """The paper's recipe of CAE, two iterations long."""
    found = find_config
    monkeypatch.setattr(
        'cae_bench.runs.recipe.find_config',
        lambda p, spec, recipe: (
            found(p, spec, recipe) if p == 'linear_seg' else shipped('configs') / p / 'cae_vit-base.py'
        ),
    )
    layout = 'coco' if 'rcnn' in protocol else 'ade'
    changes = {
        f'{loader}_dataloader.{key}': value
        for loader in ('train', 'val')
        for key, value in (('num_workers', 0), ('persistent_workers', False), ('pin_memory', False))
    } | changes
    return build(
        Task('scenes', protocol),
        checkpoints.load(SMALL),
        describe('scenes', scenes, layout),
        Options(limit=2, cfg_options=changes),
    )


def run(cfg, folder):
    cfg.work_dir, cfg.log_level = str(folder), 'ERROR'
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def scores(runner):
    return {
        name.removeprefix('val/'): values.current()
        for name, values in runner.message_hub.log_scalars.items()
        if name.startswith('val/') and 'time' not in name
    }


SHORT = {
    'benchmark.global_batch': 2,
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'param_scheduler.warmup_iters': 1,
    'default_hooks.checkpoint.interval': 2,
}


def test_segmentation_trains_on_one_process_and_mmseg_s_own_tools_load_it(scenes, tmp_path, monkeypatch):
    cfg = small('upernet', scenes, monkeypatch, **SHORT)
    runner = run(cfg, tmp_path)
    assert 0 <= scores(runner)['mIoU'] <= 100
    assert not [m for m in runner.model.modules() if isinstance(m, torch.nn.SyncBatchNorm)]
    assert cfg.model.decode_head.norm_cfg.type == 'SyncBN'
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    weights, image = str(tmp_path / 'iter_2.pth'), np.full((48, 80, 3), 90, np.uint8)
    model = init_model(cfg, weights, device='cpu')
    mask = inference_model(model, image).pred_sem_seg.data
    assert mask.shape == (1, 48, 80) and mask.max() < 7
    inferred = MMSegInferencer(cfg, weights=weights, device='cpu')(image, show=False)['predictions']
    np.testing.assert_array_equal(inferred, mask[0].numpy())


def test_bfloat16_and_recomputed_blocks_are_options_of_a_training(scenes, tmp_path, monkeypatch):
    half = small(
        'upernet',
        scenes,
        monkeypatch,
        **SHORT
        | {
            'train_cfg.val_interval': 3,
            'model.backbone.with_cp': True,
            'model.data_preprocessor.size': (64, 64),
            'train_dataloader.dataset.pipeline.3.crop_size': (64, 64),
            'optim_wrapper.type': 'cae_bench.BFloat16OptimWrapper',
        },
    )
    seen = set()
    from mmseg.models import FCNHead

    monkeypatch.setattr(FCNHead, 'cls_seg', lambda self, x, plain=FCNHead.cls_seg: seen.add(x.dtype) or plain(self, x))
    runner = run(half, tmp_path)
    assert seen == {torch.bfloat16} and runner.model.backbone.with_cp
    assert {p.dtype for p in runner.model.parameters()} == {torch.float32}


def test_multi_scale_testing_runs_twelve_views_of_every_image(scenes, tmp_path, monkeypatch):
    pipeline = 'val_dataloader.dataset.pipeline.1.transforms.0'
    fewer = {f'{pipeline}.{i}.scale': side for i, side in enumerate((64, 64, 64, 80, 96, 112))}
    cfg = small(
        'upernet_ms',
        scenes,
        monkeypatch,
        **SHORT,
        **fewer,
        **{'train_dataloader.dataset.pipeline.3.crop_size': (64, 64), 'model.data_preprocessor.size': (64, 64)},
    )
    seen = []
    from mmseg.models import EncoderDecoder

    predict = EncoderDecoder.predict

    def counting(self, inputs, samples):
        seen.append((tuple(inputs.shape[-2:]), samples[0].flip))
        return predict(self, inputs, samples)

    monkeypatch.setattr(EncoderDecoder, 'predict', counting)
    runner = run(cfg, tmp_path)
    assert 0 <= scores(runner)['mIoU'] <= 100
    short = [(s, f) for s in (64, 64, 64, 80, 96, 112) for f in (False, True)]
    assert [(min(size), flip) for size, flip in seen] == short * 2


def test_detection_trains_on_one_process_and_mmdet_s_own_tools_load_it(scenes, tmp_path, monkeypatch):
    from cae_bench import compat  # noqa: F401  mmdet alone cannot be imported where mmcv has no compiled ops

    small_sides = {
        f'train_dataloader.dataset.pipeline.3.transforms.{i}.{j}.scales': [(96, 160)]
        for i, j in ((0, 0), (1, 0), (1, 2))
    }
    fewer = {
        'model.train_cfg.rpn_proposal.max_per_img': 64,
        'model.train_cfg.rcnn.sampler.num': 16,
        'model.test_cfg.rpn.max_per_img': 16,
        'model.test_cfg.rcnn.max_per_img': 5,
    }
    cfg = small(
        'mask_rcnn',
        scenes,
        monkeypatch,
        **small_sides,
        **fewer,
        **{
            'benchmark.global_batch': 2,
            'train_cfg.max_epochs': 1,
            'train_cfg.val_interval': 1,
            'param_scheduler.warmup_iters': 1,
            'param_scheduler.milestones': [1, 1],
            'model.test_cfg.rcnn.score_thr': 0.0,
            'val_dataloader.dataset.pipeline.1.scale': (160, 96),
            'test_dataloader.dataset.pipeline.1.scale': (160, 96),
        },
    )
    runner = run(cfg, tmp_path)
    assert runner.iter == 1 and all(math.isfinite(value) for value in scores(runner).values())
    assert {'bbox_mAP', 'segm_mAP'} <= set(scores(runner))
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    weights, image = str(tmp_path / 'epoch_1.pth'), np.full((48, 80, 3), 90, np.uint8)
    inferred = DetInferencer(cfg, weights=weights, device='cpu', show_progress=False)(image)['predictions'][0]
    found = inference_detector(init_detector(cfg, weights, device='cpu'), image).pred_instances
    assert found.masks.shape[1:] == (48, 80)
    assert found.scores.tolist() == inferred['scores']


def test_vitdet_trains_and_finds_its_objects_in_padded_squares(scenes, tmp_path, monkeypatch):
    fewer = {
        'model.train_cfg.rpn_proposal.max_per_img': 64,
        'model.train_cfg.rcnn.sampler.num': 16,
        'model.test_cfg.rpn.max_per_img': 16,
        'model.test_cfg.rcnn.max_per_img': 5,
    }
    cfg = small(
        'vitdet_mask_rcnn',
        scenes,
        monkeypatch,
        **SHORT,
        **fewer,
        **{
            'param_scheduler.milestones': [1, 2],
            'model.data_preprocessor.pad_size_divisor': 128,
            'model.backbone.window_size': 3,
            'model.backbone.table_size': 128,
            'train_dataloader.dataset.pipeline.3.scale': (128, 128),
            'train_dataloader.dataset.pipeline.4.crop_size': (128, 128),
            'val_dataloader.dataset.pipeline.1.scale': (128, 128),
        },
    )
    seen = []
    from cae_bench.models.vitdet import WindowedViT

    monkeypatch.setattr(
        WindowedViT,
        'forward',
        lambda self, x, _plain=WindowedViT.forward: seen.append(tuple(x.shape[-2:])) or _plain(self, x),
    )
    runner = run(cfg, tmp_path)
    assert seen and set(seen) == {(128, 128)}
    assert {'bbox_mAP', 'segm_mAP'} <= set(scores(runner))


def test_a_linear_probe_of_frozen_patches_leaves_the_backbone_as_it_was(scenes, tmp_path, monkeypatch):
    cfg = small(
        'linear_seg',
        scenes,
        monkeypatch,
        **SHORT,
        **{'train_dataloader.dataset.pipeline.3.crop_size': (96, 96), 'model.data_preprocessor.size': (96, 96)},
    )
    cfg.work_dir, cfg.log_level = str(tmp_path), 'ERROR'
    runner = Runner.from_cfg(cfg)
    runner.model.init_weights()
    before = {n: p.clone() for n, p in runner.model.named_parameters()}
    monkeypatch.setattr(runner.model, 'init_weights', lambda: None)
    runner.train()
    changed = {n for n, p in runner.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {'neck.bn.weight', 'neck.bn.bias', 'decode_head.conv_seg.weight', 'decode_head.conv_seg.bias'}
    assert 0 <= scores(runner)['mIoU'] <= 100
