"""What --dry-run says of fine-tuning, segmentation and detection: every constant, and a cost that adds up."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest
from mmengine.config import Config

from cae_bench import benchmark, checkpoints
from cae_bench.datasets.describe import describe_released
from cae_bench.errors import CaeBenchError, DataError
from cae_bench.forecast.detector_flops import detector_flops, scored_objects, trained_objects
from cae_bench.forecast.training_cost import input_size, length, plain, plan
from cae_bench.forecast.vit_flops import backbone_flops, head_flops, parameters
from cae_bench.paths import shipped
from cae_bench.runs.find import borrowed
from cae_bench.runs.header import Header
from cae_bench.runs.options import Options
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task, parse_all

LAYOUT = {
    'finetune': 'image_folder',
    'upernet': 'ade',
    'linear_seg': 'ade',
    'mask_rcnn': 'coco',
    'vitdet_mask_rcnn': 'coco',
    'upernet_ms': 'ade',
    'knn': 'image_folder',
    'linear': 'image_folder',
}
DATA = dict(image_folder='in1k', ade='ade20k', coco='coco')


def config(protocol, arch='vit-base', **options):
    ckpt = checkpoints.load(f'random:{arch}')
    name = DATA[LAYOUT[protocol]]
    return build(Task(name, protocol), ckpt, describe_released(name, LAYOUT[protocol]), Options(**options))


def said_of(cfg, *counts, **options):
    return plan(cfg, Header.of(cfg), *counts, **options)


def test_the_suite_of_the_main_table_is_planned_without_data_in_seconds():
    start = time.monotonic()
    command = [sys.executable, '-m', 'cae_bench', 'run', 'random:vit-base', '--suite', 'cae_paper', '--dry-run']
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for part in (
        '1,281,167 + 50,000 images',
        '20,210 + 2,000 images',
        '118,287 + 5,000 images (117,266 train: those with objects)',
        '12 epochs of 3,665, 43,980 iterations, 1,407,192 images (12.0 times the data)',
        '1000 classes',
        '--data ade20k=DIR was not given',
        'published: 8 x 2; here: 1 x 2, 8 accumulated steps',
        'published: 16 x 2',
        '160,000 iterations',
        'layer_decay_rate=0.75',
        'mode=slide',
        'stride=[341, 341]',
        'warmup_iters=1500',
        'RandomCrop(crop_size=[512, 512]',
        'mixup_alpha=0.8',
        'GIoULoss(loss_weight=10)',
        'max_per_img=2000',
        'fp32 (published: fp16)',
        'PFLOP',
        'activations of 2 images',
    ):
        assert part in done.stderr, part
    assert time.monotonic() - start < 60  # 7 s where nothing else runs


@pytest.mark.parametrize(
    'family, protocol, arch, constants',
    [
        ('random', 'finetune', 'vit-small', 'mae_vit-base'),
        ('random', 'finetune', 'vit-base', 'mae_vit-base'),
        ('random', 'mask_rcnn', 'vit-large', 'cae_vit-large'),
        ('deit', 'upernet', 'vit-large', 'mae_vit-large'),
        ('cae', 'finetune', 'vit-small', 'cae_vit-base'),
        ('beit', 'upernet', 'vit-small', 'beit_vit-base'),
        ('mae', 'mask_rcnn', 'vit-base', 'cae_vit-base'),
        ('cae', 'vitdet_mask_rcnn', 'vit-large', 'mae_vit-large'),
        ('cae_v2', 'finetune', 'vit-large', 'cae_vit-large'),
        ('cae_v2', 'upernet', 'vit-base', 'cae_vit-base'),
        ('cae_v2', 'upernet_ms', 'vit-tiny', 'cae_vit-base'),
        ('cae_v2', 'mask_rcnn', 'vit-large', 'cae_vit-large'),
        ('cae', 'finetune', 'vit-base', ''),
        ('cae_v2', 'finetune', 'vit-tiny', ''),
        ('beit', 'upernet', 'vit-base', ''),
        ('mae', 'vitdet_mask_rcnn', 'vit-large', ''),
        ('random', 'linear_seg', 'vit-base', ''),
        ('deit', 'knn', 'vit-small', ''),
        ('cae_v2', 'linear', 'vit-base', ''),
    ],
)
def test_a_recipe_that_is_anothers_says_whose_and_no_other_does(family, protocol, arch, constants):
    plain = checkpoints.load(f'random:{arch}')
    ckpt = replace(plain, spec=replace(plain.spec, family=family))
    dataset = DATA[LAYOUT[protocol]]
    cfg = build(Task(dataset, protocol), ckpt, describe_released(dataset, LAYOUT[protocol]), Options())
    said = f'no official recipe of {protocol} is known for {family} {arch}: the constants are those of {constants}'
    assert borrowed(cfg, Header.of(cfg), ckpt.spec) == (said if constants else '')
    mini = config('mask_rcnn', 'vit-small', recipe='mini')
    assert borrowed(mini, Header.of(mini), ckpt.spec) == ''


@pytest.mark.parametrize(
    'protocol, updates, images',
    [
        ('upernet', 160_000, 2_560_000),
        ('linear_seg', 40_000, 640_000),
        ('vitdet_mask_rcnn', 184_375, 11_800_000),
        ('mask_rcnn', 12 * 3665, 12 * 117_266),
        ('finetune', 100 * 1251, 100 * 1251 * 1024),
    ],
)
def test_the_length_is_that_of_the_published_batch(protocol, updates, images):
    counts = dict(finetune=1_281_167, upernet=20_210, linear_seg=20_210).get(
        protocol, describe_released('coco', 'coco').num_trained
    )
    for batch in (1, 2):
        cfg = config(protocol, cfg_options={'train_dataloader.batch_size': batch})
        assert length(cfg, Header.of(cfg), counts) == (updates, images)


def test_every_constant_of_a_recipe_is_told():
    text = '\n'.join(said_of(config('vitdet_mask_rcnn', 'vit-large', amp='bf16'), 118_287, 5_000, world_size=8))
    for part in (
        'global_blocks=[5, 11, 17, 23]',
        'window_size=14',
        'drop_path_rate=0.4',
        'decay_biases=True',
        'milestones=[163889, 177546]',
        'ratio_range=[0.1, 2]',
        'norm_cfg=LN2d(eps=1e-06)',
        'num_convs=2',
        'precision: bf16 (published: fp16)',
        'layer_decay_rate=0.8',
        'here: 1 x 1, 64 accumulated',
    ):
        assert part in text, part


def test_a_frozen_backbone_costs_one_forward_and_recomputed_blocks_a_fourth():
    cost = {
        p: next(line for line in said_of(config(p), 100, 10) if 'times a forward' in line)
        for p in ('linear_seg', 'mask_rcnn', 'upernet')
    }
    assert 'takes 1 times' in cost['linear_seg'] and 'takes 4 times' in cost['mask_rcnn']
    assert 'takes 3 times' in cost['upernet']


def test_arithmetic_of_backbone_and_upernet_agrees_with_counting_their_operations():
    import torch
    from mmengine.registry import MODELS, DefaultScope
    from torch.utils.flop_counter import FlopCounterMode

    cfg = config('upernet')
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
        image = torch.zeros(1, 3, 512, 512)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        taps = model.backbone(image)
    blocks = counter.get_total_flops()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        maps = model.neck(taps)
        model.decode_head(maps), model.auxiliary_head(maps)
    assert input_size(cfg, Header.of(cfg)) == (512, 512)
    assert backbone_flops(cfg.model.backbone, (512, 512)) == pytest.approx(blocks, rel=0.01)
    assert head_flops(cfg.model, (512, 512)) == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert parameters(cfg.model.backbone) == pytest.approx(86e6, rel=0.01)


@pytest.mark.parametrize(
    'protocol, recipe', [('mask_rcnn', 'paper'), ('vitdet_mask_rcnn', 'paper'), ('mask_rcnn', 'mini')]
)
def test_arithmetic_of_a_detector_agrees_with_counting_its_operations(protocol, recipe):
    import torch
    from mmengine.registry import MODELS, DefaultScope
    from torch.utils.flop_counter import FlopCounterMode

    cfg = config(protocol, recipe=recipe)
    with DefaultScope.overwrite_default_scope('mmdet'), torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
        channels = cfg.model.rpn_head.in_channels
        boxes, masks = torch.zeros(9, channels, 7, 7), torch.zeros(5, channels, 14, 14)
        taps = [torch.zeros(1, 768, 16, 24)] * 4
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.rpn_head(model.neck(taps))
        model.roi_head.bbox_head(boxes), model.roi_head.mask_head(masks)
    ours = detector_flops(cfg.model, (256, 384), 9, 5)
    assert ours == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_the_cost_of_a_detector_counts_its_heads_at_the_size_of_its_images():
    cfg = config('mask_rcnn')
    text = '\n'.join(said_of(cfg, 118_287, 5_000))
    assert 'a forward of 672x1092, neck and heads' in text and 'heads not counted' not in text
    assert trained_objects(cfg.model) == (512, 128) and scored_objects(cfg.model) == (1000, 100)
    beit = Config.fromfile(shipped('configs') / 'mask_rcnn/beit_vit-base.py')  # its tables are of 224
    assert input_size(beit, Header.of(beit)) == (672, 1092)


def test_windows_cost_less_than_whole_attention():
    windowed = config('vitdet_mask_rcnn').model.backbone
    whole = {k: v for k, v in windowed.items() if k != 'window_size'}
    assert backbone_flops(windowed, (1024, 1024)) < 0.75 * backbone_flops(whole, (1024, 1024))


def test_only_a_plan_may_lack_its_data_and_only_the_official():
    ckpt, options = checkpoints.load('random:vit-base'), Options()
    assert (
        benchmark.resolve(parse_all(['coco/mask_rcnn']), ckpt, {}, options, may_lack_data=True)[0].data.num_val == 5000
    )
    for task, may in (('coco/mask_rcnn', False), ('own/mask_rcnn', True)):
        with pytest.raises(CaeBenchError, match='no folder for data set'):
            benchmark.resolve(parse_all([task]), ckpt, {}, options, may_lack_data=may)
    with pytest.raises(DataError, match='coco in ade layout is no official'):
        describe_released('coco', 'ade')


def test_settings_read_like_a_call():
    assert plain(dict(type='mmseg.A', x=1e-6, y=[1, 1, 1], z=dict(type='B'))) == 'A(x=1e-06, y=[1] x 3, z=B)'
