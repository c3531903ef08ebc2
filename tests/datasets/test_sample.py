"""Mistakes of masks and COCO files that a run refuses, or says, before anything is trained."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

import cae_bench
from cae_bench import benchmark, checkpoints
from cae_bench.datasets.describe import describe
from cae_bench.datasets.layouts import find_layout
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.errors import DataError
from cae_bench.runs.options import Options
from cae_bench.tasks import parse_all


@pytest.fixture
def scenes(tmp_path):
    return make_scenes(tmp_path / 'scenes', num_train=6, num_val=6, size=64)


def edit(scenes, split, change):
    path = scenes / f'annotations/instances_{split}.json'
    content = json.loads(path.read_text())
    change(content['annotations'], content)
    path.write_text(json.dumps(content))


def nothing(objects, content):
    content['annotations'] = []


def flat(objects, content):
    for thing in objects:
        thing['bbox'][2], thing['area'] = 0, 0


def outside(objects, content):
    for thing in objects:
        thing['bbox'][0] += 500


def crowds(objects, content):
    for thing in objects:
        thing['iscrowd'] = 1


def small(objects, content):
    for image in content['images']:
        image['width'] = 20
    for thing in objects:
        thing['segmentation'] = [[1, 1, 9, 1, 9, 9]]


def not_a_number(objects, content):
    objects[0]['bbox'][1] = float('nan')


@pytest.mark.parametrize(
    'split, change, says',
    [
        ('train', nothing, 'no object to learn from .it lists none'),
        ('val', nothing, 'no object to be scored on'),
        ('train', flat, 'without area'),
        ('val', flat, 'without area'),
        ('train', outside, 'outside of their images'),
        ('train', crowds, 'crowds'),
        ('train', not_a_number, 'annotation 1 has the box .*nan.*give four numbers'),
    ],
)
def test_a_coco_file_of_no_use_is_refused_with_the_reason(scenes, split, change, says):
    edit(scenes, split, change)
    with pytest.raises(DataError, match=f'instances_{split}.json: .*{says}'):
        describe('scenes', scenes, 'coco')


def test_a_training_split_of_images_too_small_for_the_recipe_is_refused(scenes, tmp_path):
    edit(scenes, 'train', small)
    outcome = cae_bench.run(
        'random:vit-48x4x3',
        tasks=['scenes/mask_rcnn'],
        data={'scenes': str(scenes)},
        results=tmp_path / 'results',
        recipe='mini',
    )
    assert 'no image is left to train on' in outcome.failures['scenes/mask_rcnn']
    assert 'min_size=32' in outcome.failures['scenes/mask_rcnn']


def test_a_few_bad_objects_among_good_ones_are_no_reason_to_refuse(scenes):
    edit(scenes, 'train', lambda objects, content: flat(objects[:1], content))
    assert describe('scenes', scenes, 'coco').num_train == 6


def meta(scenes, **changes):
    path = scenes / 'meta.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return describe('scenes', scenes, 'ade')


def test_labels_beyond_the_classes_name_file_and_remedy(scenes):
    assert find_layout('ade').sample(describe('scenes', scenes, 'ade')) == []
    with pytest.raises(DataError, match='holds label 3, .: with 3 classes and reduce_zero_label false, labels are 0-2'):
        find_layout('ade').sample(meta(scenes, classes=['a', 'b', 'c']))


def relabel(scenes, **values):
    for split, value in values.items():
        for path in (scenes / 'annotations' / split).glob('*.png'):
            Image.fromarray(np.full((64, 64), 0, np.uint8) + np.array(value, np.uint8)).save(path)


def test_classes_that_start_at_one_tell_that_label_zero_is_to_be_ignored(scenes):
    relabel(scenes, train=7)
    with pytest.raises(DataError, match='reduce_zero_label should be true'):
        find_layout('ade').sample(describe('scenes', scenes, 'ade'))


@pytest.mark.parametrize('split', ['train', 'val'])
def test_masks_that_ignore_everything_are_refused(scenes, split):
    relabel(scenes, **{split: 255})
    with pytest.raises(DataError, match=f'no labelled pixel in the {split} masks'):
        find_layout('ade').sample(describe('scenes', scenes, 'ade'))
    relabel(scenes, **{split: 0})
    with pytest.raises(DataError, match='Check annotations and reduce_zero_label'):
        find_layout('ade').sample(meta(scenes, reduce_zero_label=True))


def test_a_run_says_the_tell_tale_of_a_wrong_reduce_zero_label(scenes, caplog):
    rows = np.arange(64)[:, None] * 7 // 64
    relabel(scenes, train=np.broadcast_to(rows, (64, 64)))
    meta(scenes, reduce_zero_label=True)
    with caplog.at_level(logging.INFO, 'cae_bench'):
        benchmark.resolve(
            parse_all(['scenes/upernet']),
            checkpoints.load('random:vit-tiny'),
            {'scenes': str(scenes)},
            Options(recipe='mini'),
        )
    assert 'label 7 (triangle) does not' in caplog.text and 'should be false' in caplog.text


def test_images_smaller_than_the_crop_are_padded_and_trained_on(scenes, tmp_path):
    for split in ('train', 'val'):
        for image, mask in ((f'images/{split}', '*.jpg'), (f'annotations/{split}', '*.png')):
            for path in (scenes / image).glob(mask):
                Image.open(path).resize((20, 24), Image.NEAREST).save(path)
    options = {
        f'{loader}_dataloader.{key}': value
        for loader in ('train', 'val')
        for key, value in (('num_workers', 0), ('persistent_workers', False))
    }
    outcome = cae_bench.run(
        'random:vit-48x4x3',
        tasks=['scenes/upernet'],
        data={'scenes': str(scenes)},
        results=tmp_path / 'results',
        recipe='mini',
        shorten=0.005,
        cfg_options=options | {'train_dataloader.batch_size': 2},
    )
    assert not outcome.failures and outcome.records
