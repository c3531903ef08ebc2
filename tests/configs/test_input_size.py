"""Sizes are whole patches in every shipped recipe, what is rounded is said, and --input-size sets every view together."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from shipped_configs import FILES, archs, described, fitted, name_of

from cae_bench import checkpoints
from cae_bench.errors import ConfigError
from cae_bench.registry import MODELS
from cae_bench.runs.find import read, read_header
from cae_bench.runs.fingerprint import scoring_parts
from cae_bench.runs.input_size import views
from cae_bench.runs.options import Options
from cae_bench.runs.overrides import overrides_of
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task

FILES = [path for path in FILES if path.stem in ('mini', 'vit-base')]  # one of each protocol and recipe
CLASSIFICATION = [path for path in FILES if read_header(path).layout == 'image_folder']
DENSE = [path for path in FILES if path not in CLASSIFICATION]


def resolve(path: Path, patch_size: int = 14, **options):
    plain = checkpoints.load('random:vit-48x12x3')
    ckpt = replace(plain, spec=replace(plain.spec, patch_size=patch_size, img_size=(16 * patch_size,) * 2))
    recipe = 'mini' if path.stem == 'mini' else 'paper'
    return build(
        Task('own', path.parent.name),
        ckpt,
        described(read_header(path).layout),
        Options(recipe=recipe, **options),
    )


def file(name: str) -> Path:
    return next(path for path in FILES if name_of(path) == name)


@pytest.mark.parametrize('path', CLASSIFICATION, ids=name_of)
def test_every_view_is_a_whole_number_of_patches_of_14(path):
    shipped = fitted(path, *archs(path)[0])
    cfg = resolve(path)
    expected = {96: 98, 64: 70, 224: 224}  # 64 / 14 = 4.57
    sizes = [(old['size'], new['size']) for old, new in zip(views(shipped), views(cfg), strict=True)]
    assert sizes and all(new == expected[old] for old, new in sizes)
    assert all(new.get('resize', new['size']) % 14 == 0 or new['size'] == 224 for new in views(cfg))
    assert cfg.model.backbone.get('img_size', 0) % 14 == 0
    said = {
        96: 'views of 96 px are 98 px here: the patch is 14',
        64: 'views of 64 px are 70 px here: the patch is 14',
        224: None,
    }
    assert cfg.benchmark.get('input_size') == said[sizes[0][0]]


@pytest.mark.parametrize('path', FILES, ids=name_of)
@pytest.mark.parametrize('patch_size', [16, 32])
def test_patches_of_16_and_32_leave_every_size_as_it_is(path, patch_size):
    shipped, cfg = read(path), resolve(path, patch_size)
    assert cfg.benchmark.get('input_size') is None
    if path in CLASSIFICATION:
        sizes = [[(v['size'], v.get('resize')) for v in views(c)] for c in (cfg, shipped)]
        assert sizes[0] == sizes[1]
    processor = shipped.model.get('data_preprocessor') or {}
    for key in ('size', 'pad_size_divisor', 'test_cfg'):
        assert (cfg.model.get('data_preprocessor') or {}).get(key) == processor.get(key)
    for key in ('img_size', 'table_size'):
        assert cfg.model.backbone.get(key) == shipped.model.backbone.get(key)


def test_patches_of_8_are_rounded_nowhere_but_where_a_size_asks_for_it():
    assert resolve(file('knn/mini'), 8).benchmark.get('input_size') is None
    cfg = resolve(file('knn/mini'), 8, input_size=100)  # 12.5 patches: the larger of two
    assert [v['size'] for v in views(cfg)] == [104, 104]


@pytest.mark.parametrize('path', CLASSIFICATION, ids=name_of)
def test_input_size_sets_every_view_and_keeps_the_ratio_of_resize_and_crop(path):
    plain, cfg = resolve(path, 16), resolve(path, 16, input_size=448)
    assert {v['size'] for v in views(cfg)} == {448}
    for old, new in zip(views(plain), views(cfg)):
        if 'resize' in old:
            assert new['resize'] == {(224, 256): 512, (96, 96): 448, (64, 64): 448}[old['size'], old['resize']]
    if 'img_size' in plain.model.backbone:
        assert cfg.model.backbone.img_size == 448
    assert overrides_of(cfg, Options(input_size=448)) == dict(input_size=448)


def test_input_size_moves_the_fingerprint_also_where_rounding_gives_the_same_size():
    class Data:
        content_hash = 'x'

    ckpt = checkpoints.load('random:vit-48x4x3')
    parts = [
        scoring_parts(resolve(file('knn/mini'), 16, input_size=n), ckpt, Data, Options(input_size=n))
        for n in (None, 96, 128)
    ]
    assert parts[0]['config'] == parts[1]['config'] != parts[2]['config']
    assert parts[0]['overrides'] == {} and parts[1]['overrides'] == dict(input_size=96)


@pytest.mark.parametrize('path', DENSE, ids=name_of)
def test_input_size_is_refused_where_images_have_all_sizes(path):
    with pytest.raises(
        ConfigError, match=f'--input-size 448: {name_of(path).split("/")[0]}/.*reads images of all sizes; only'
    ):
        resolve(path, 16, input_size=448)


@pytest.mark.parametrize('size', [15, 0, -3])
def test_an_input_size_below_a_patch_is_refused(size):
    with pytest.raises(ConfigError, match=f'--input-size {size}: smaller than a patch of 16 pixels'):
        resolve(file('knn/mini'), 16, input_size=size)


@pytest.mark.parametrize(
    'options, bank, queries',
    [
        (
            {'val_dataloader.dataset.views.eval.size': 64},
            '96 px of images resized to 96',
            '64 px of images resized to 96',
        ),
        (
            {'train_dataloader.dataset.views.eval.resize': 112},
            '96 px of images resized to 112',
            '96 px of images resized to 96',
        ),
    ],
)
@pytest.mark.parametrize('protocol', ['knn', 'fewshot_5', 'linear_cached'])
def test_a_bank_and_queries_of_different_views_are_refused_and_both_are_named(protocol, options, bank, queries):
    with pytest.raises(
        ConfigError, match=f'bank holds views of {bank} .train_dataloader.*queries are views of {queries} .val'
    ):
        resolve(file(f'{protocol}/mini'), 16, cfg_options=options)


def test_one_view_set_by_hand_is_rounded_too():
    cfg = resolve(file('linear/mini'), 14, cfg_options={'train_dataloader.dataset.views.crop.size': 80})
    assert cfg.train_dataloader.dataset.views.crop.size == 84 and cfg.val_dataloader.dataset.views.eval.size == 98
    assert cfg.benchmark.input_size == 'views of 80 px are 84 px here, views of 96 px are 98 px here: the patch is 14'


@pytest.mark.parametrize(
    'name, sizes',
    [
        ('upernet/vit-base', dict(img_size=532)),
        ('upernet/mini', dict(divisor=28)),
        ('linear_seg/vit-base', {}),
        ('linear_seg/mini', dict(divisor=28)),
        ('mask_rcnn/vit-base', dict(img_size=(672, 1092), pad=28)),
        ('mask_rcnn/mini', dict(pad=28)),
        ('vitdet_mask_rcnn/vit-base', dict(table=1036, pad=1036)),
    ],
)
def test_dense_recipes_pad_to_two_patches_of_14(name, sizes):
    cfg = resolve(file(name))
    processor, backbone = cfg.model.data_preprocessor, cfg.model.backbone
    found = dict(
        img_size=backbone.get('img_size'),
        divisor=(processor.get('test_cfg') or {}).get('size_divisor'),
        pad=processor.get('pad_size_divisor'),
        table=backbone.get('table_size'),
    )
    assert {k: v for k, v in found.items() if v is not None} == sizes
    assert cfg.benchmark.input_size.startswith('images are padded to whole patches of 14 px')


@pytest.mark.parametrize('name', ['mask_rcnn/mini', 'vitdet_mask_rcnn/vit-base'])
@torch.no_grad()
def test_strides_of_a_detector_times_its_maps_are_the_padded_image(name):
    cfg = resolve(file(name), cfg_options={'model.backbone.table_size': 196} if 'vitdet' in name else {})
    if 'vitdet' in name:
        cfg.model.data_preprocessor.pad_size_divisor = 196
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).eval()
    sample = dict(inputs=[torch.zeros(3, 100, 130, dtype=torch.uint8)], data_samples=[_det_sample()])
    inputs = model.data_preprocessor(sample)['inputs']
    assert tuple(inputs.shape[2:]) == ((196, 196) if 'vitdet' in name else (112, 140))
    maps = model.extract_feat(inputs)
    strides = (
        model.prior_generator.strides if hasattr(model, 'prior_generator') else model.rpn_head.prior_generator.strides
    )
    for level, stride in list(zip(maps, strides))[:4]:
        assert (level.shape[2] * stride[1], level.shape[3] * stride[0]) == tuple(inputs.shape[2:])


def _det_sample():
    from mmdet.structures import DetDataSample

    return DetDataSample(metainfo=dict(img_shape=(100, 130), ori_shape=(100, 130)))


def test_the_first_lines_say_what_was_rounded(tmp_path):
    from cae_bench.datasets.scenes.make import make_scenes

    make_scenes(tmp_path / 'scenes', num_train=8, num_val=6, size=64)
    run = subprocess.run(
        [
            sys.executable,
            '-m',
            'cae_bench',
            'run',
            'random:vit-48x4x3',
            '--recipe',
            'mini',
            '--tasks',
            'scenes/knn',
            '--data',
            f'scenes={tmp_path / "scenes"}',
            '--input-size',
            '40',
            '--dry-run',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'views of 40 px are 48 px here: the patch is 16' in run.stderr
