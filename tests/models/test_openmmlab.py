"""The real mmseg and mmdet: stock configs, their own runner, their own inference tools, and no custom_imports.

Each runs in a fresh process, where nothing of ours is imported but by the type name in the config.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from vits import CAE, random_vit

VIT = """dict(_delete_=True, type='cae_bench.ViT', checkpoint={checkpoint!r}, num_heads=2, final_norm=False,
                  out_indices=(0.25, 0.5, 0.75, 1.0))"""
COMMON = """
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
"""
SEG = (
    """
_base_ = [{stock!r}]
default_scope = 'mmseg'
visualizer = dict(type='SegLocalVisualizer')
norm = dict(type='BN')
model = dict(
    data_preprocessor=dict(size=(64, 64), test_cfg=dict(size_divisor=32)),
    backbone={vit},
    neck=dict(_delete_=True, type='cae_bench.ViTPyramid', embed_dims=32),
    decode_head=dict(in_channels=[32] * 4, channels=16, num_classes=2, norm_cfg=norm),
    auxiliary_head=dict(in_channels=32, channels=16, num_classes=2, norm_cfg=norm))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
data = dict(type='BaseSegDataset', data_root={root!r}, data_prefix=dict(img_path='img', seg_map_path='ann'),
            img_suffix='.png', pipeline=pipeline,
            metainfo=dict(classes=('dark', 'light'), palette=[[0, 0, 0], [255, 255, 255]]))
train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler'), dataset=data)
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=data)
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                       dataset=dict(data, pipeline=test_pipeline))
val_evaluator = dict(type='IoUMetric')
"""
    + COMMON
)
SEG_RUN = """
import json
from mmengine.config import Config
from mmengine.runner import Runner
cfg = Config.fromfile('seg.py')
cfg.work_dir = 'work'
runner = Runner.from_cfg(cfg)
runner.train()
from mmseg.apis import MMSegInferencer, inference_model, init_model
model = init_model('seg.py', 'work/iter_2.pth', device='cpu')
result = inference_model(model, 'img/0.png')
inferred = MMSegInferencer('seg.py', weights='work/iter_2.pth', device='cpu')('img/0.png', show=False)
print('RESULT', json.dumps(dict(
    backbone=type(model.backbone).__module__, mask=list(result.pred_sem_seg.data.shape),
    inferencer=list(inferred['predictions'].shape),
    same=bool((result.pred_sem_seg.data[0].numpy() == inferred['predictions']).all()),
    miou=float(runner.message_hub.get_scalar('val/mIoU').current()))))
"""
DET = (
    """
_base_ = [{stock!r}]
default_scope = 'mmdet'
visualizer = dict(type='DetLocalVisualizer')
model = dict(
    backbone={vit},
    neck=[dict(type='cae_bench.ViTPyramid', embed_dims=32),
          dict(type='FPN', in_channels=[32] * 4, out_channels=16, num_outs=5)],
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16), mask_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=16, num_classes=2),
        mask_head=dict(in_channels=16, conv_out_channels=16, num_convs=1, num_classes=2)),
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=7)))
resize = [dict(type='LoadImageFromFile', backend_args=None), dict(type='Resize', scale=(96, 64), keep_ratio=True)]
pipeline = [*resize, dict(type='LoadAnnotations', with_bbox=True, with_mask=True), dict(type='PackDetInputs')]
test_pipeline = [*resize, dict(type='PackDetInputs',
                              meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
data = dict(type='CocoDataset', data_root={root!r}, ann_file='coco.json', metainfo=dict(classes=('box', 'disc')),
            data_prefix=dict(img='img/'))
train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler'),
                        dataset=dict(**data, pipeline=pipeline))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(**data, pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file={root!r} + '/coco.json', metric=['bbox', 'segm'])
"""
    + COMMON
)
DET_RUN = """
import json
import cae_bench.compat          # mmdet alone cannot be imported where mmcv has no compiled ops
from mmengine.config import Config
from mmengine.runner import Runner
cfg = Config.fromfile('det.py')
cfg.work_dir = 'work'
runner = Runner.from_cfg(cfg)
runner.train()
from mmdet.apis import DetInferencer, inference_detector, init_detector
model = init_detector('det.py', 'work/iter_2.pth', device='cpu')
found = inference_detector(model, 'img/0.png').pred_instances
inferencer = DetInferencer('det.py', weights='work/iter_2.pth', device='cpu', show_progress=False)
inferred = inferencer('img/0.png')
print('RESULT', json.dumps(dict(
    backbone=type(model.backbone).__module__, boxes=list(found.bboxes.shape), masks=list(found.masks.shape),
    inferencer=len(inferred['predictions'][0]['scores']),
    same=found.scores.tolist() == inferred['predictions'][0]['scores'],
    metrics=[k for k in runner.message_hub.log_scalars if k.startswith('val/coco') and k.endswith('mAP')])))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures with a light rectangle, as masks and as COCO instances; and a CAE encoder of width 32."""
    torch.save(random_vit(CAE).state_dict(), tmp_path / 'cae.pth')
    for part in ('img', 'ann'):
        (tmp_path / part).mkdir()
    coco = dict(images=[], annotations=[], categories=[dict(id=1, name='box'), dict(id=2, name='disc')])
    for i in range(2):
        mask = np.zeros((64, 96), np.uint8)
        mask[10:40, 20 + 8 * i : 60] = 1
        noise = np.random.default_rng(i).integers(0, 60, (64, 96, 3), np.uint8)
        Image.fromarray(noise + 180 * mask[..., None]).save(tmp_path / f'img/{i}.png')
        Image.fromarray(mask).save(tmp_path / f'ann/{i}.png')
        x, y, w, h = 20 + 8 * i, 10, 40 - 8 * i, 30
        coco['images'].append(dict(id=i, file_name=f'{i}.png', width=96, height=64))
        coco['annotations'].append(
            dict(
                id=i + 1,
                image_id=i,
                category_id=1,
                bbox=[x, y, w, h],
                area=w * h,
                iscrowd=0,
                segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]],
            )
        )
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    return tmp_path


def stock(package: str, name: str) -> str:
    """A config as the package ships it, by path: mmengine finds `mmseg::` only under the upstream package's name."""
    return str(Path(find_spec(package).origin).parent / '.mim/configs/_base_/models' / name)


def run(folder: Path, name: str, config: str, script: str, base: str) -> dict:
    vit = VIT.format(checkpoint=str(folder / 'cae.pth'))
    fill = {'{vit}': vit, '{root!r}': repr(str(folder)), '{stock!r}': repr(base)}
    for mark, value in fill.items():
        config = config.replace(mark, value)
    (folder / f'{name}.py').write_text(config)
    (folder / f'run_{name}.py').write_text(script)
    done = subprocess.run([sys.executable, f'run_{name}.py'], cwd=folder, capture_output=True, text=True, timeout=300)
    lines = [x for x in done.stdout.splitlines() if x.startswith('RESULT ')]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    assert f'tensors of {folder}/cae.pth loaded' in done.stdout + done.stderr
    return json.loads(lines[0].removeprefix('RESULT '))


def test_a_stock_mmseg_config_trains_validates_and_infers_with_our_backbone(folder):
    result = run(folder, 'seg', SEG, SEG_RUN, stock('mmseg', 'upernet_beit.py'))
    assert result['backbone'] == 'cae_bench.models.vit'
    assert result['mask'] == [1, 64, 96] and result['inferencer'] == [64, 96] and result['same']
    assert 0 <= result['miou'] <= 100


def test_a_stock_mmdet_config_trains_validates_and_infers_with_our_backbone(folder):
    result = run(folder, 'det', DET, DET_RUN, stock('mmdet', 'mask-rcnn_r50_fpn.py'))
    assert result['backbone'] == 'cae_bench.models.vit'
    assert result['boxes'] == [7, 4] and result['masks'] == [7, 64, 96]
    assert result['inferencer'] == 7 and result['same']
    assert sorted(result['metrics']) == ['val/coco/bbox_mAP', 'val/coco/segm_mAP']
