"""The one rule of COCO objects: the check, planning and the loader agree on every object."""

import copy
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from cae_bench.datasets.check import check
from cae_bench.datasets.coco_objects import run_lengths
from cae_bench.datasets.describe import describe
from cae_bench.errors import DataError

GOOD = dict(bbox=[2, 2, 10, 8], area=80, iscrowd=0, category_id=1, segmentation=[[2, 2, 12, 2, 12, 10, 2, 10]])


def content(*changes):
    """Two images of 40 x 32, annotation 1 without fault and one more for each change."""
    objects = [dict(copy.deepcopy(GOOD), image_id=1, id=n + 1) for n in range(len(changes) + 1)]
    for thing, change in zip(objects[1:], changes):
        thing.update(change)
    return dict(
        images=[dict(id=n, file_name=f'{n}.jpg', width=40, height=32) for n in (1, 2)],
        categories=[dict(id=1, name='cup')],
        annotations=objects,
    )


def write(root, train):
    for split in ('train', 'val'):
        (root / 'images' / split).mkdir(parents=True, exist_ok=True)
        (root / 'annotations').mkdir(exist_ok=True)
        for n in (1, 2):
            Image.new('RGB', (40, 32)).save(root / f'images/{split}/{n}.jpg')
        (root / f'annotations/instances_{split}.json').write_text(json.dumps(train if split == 'train' else content()))
    return root


def compressed(mask):
    return rle.encode(np.asfortranarray(mask, np.uint8))['counts'].decode()


FAULTS = {
    'box of text': (dict(bbox=['2', 2, 10, 8]), 'has the box .*give four numbers'),
    'box of bools': (dict(bbox=[True, 2, 10, 8]), 'has the box .*give four numbers'),
    'box of three': (dict(bbox=[2, 2, 10]), 'has the box .*give four numbers'),
    'box of infinity': (dict(bbox=[2, 2, float('inf'), 8]), 'has the box .*give four numbers'),
    'box of an integer beyond floats': (dict(bbox=[2, 2, 10**400, 8]), 'has the box .*give four numbers'),
    'box that is none': (dict(bbox=None), 'has the box None'),
    'area of text': (dict(area='80'), "has the area '80': give a number"),
    'area NaN': (dict(area=float('nan')), 'has the area nan'),
    'iscrowd 2': (dict(iscrowd=2), 'has iscrowd 2: give 0, or 1 for a crowd'),
    'iscrowd text': (dict(iscrowd='0'), "has iscrowd '0'"),
    'iscrowd list': (dict(iscrowd=[]), r'has iscrowd \[\]'),
    'polygon NaN': (dict(segmentation=[[float('nan'), 2, 12, 2, 12, 10]]), 'polygon that is no list of numbers'),
    'polygon of text': (dict(segmentation=[['2', 2, 12, 2, 12, 10]]), 'polygon that is no list of numbers'),
    'polygon not in a list': (dict(segmentation=[2, 2, 12, 2, 12, 10]), 'polygon that is no list of numbers'),
    'polygon of 1e300': (
        dict(segmentation=[[1e300, 2, 12, 2, 12, 10]]),
        r'polygon that runs to 1e\+300, in an image of 40x32',
    ),
    'polygon of -1e7': (dict(segmentation=[[2, -1e7, 12, 2, 12, 10]]), r'polygon that runs to -1e\+07'),
    'polygon of two points': (dict(segmentation=[[2, 2, 12, 10]]), 'fewer than three points'),
    'odd polygon': (dict(segmentation=[[2, 2, 12, 10, 3, 4, 5]]), 'fewer than three points'),
    'one empty polygon': (dict(segmentation=[[]]), 'fewer than three points'),
    'text': (dict(segmentation='abc'), 'has no segmentation'),
    'runs of another size': (dict(segmentation=dict(size=[40, 32], counts=[0, 1280])), r'has a mask for \[40, 32\]'),
    'runs too short': (
        dict(segmentation=dict(size=[32, 40], counts=[100, 50])),
        'mask of 150 pixels, the image has 1,280',
    ),
    'runs too long': (dict(segmentation=dict(size=[32, 40], counts=[0, 9000])), 'mask of 9,000 pixels'),
    'negative runs': (dict(segmentation=dict(size=[32, 40], counts=[1290, -10])), 'cannot be decoded'),
    'runs of floats': (dict(segmentation=dict(size=[32, 40], counts=[1280.0])), 'cannot be decoded'),
    'no runs': (dict(segmentation=dict(size=[32, 40])), 'cannot be decoded'),
    'text that is no runs': (dict(segmentation=dict(size=[32, 40], counts='~~\x00é')), 'cannot be decoded'),
    'text that ends early': (dict(segmentation=dict(size=[32, 40], counts='ooo')), 'cannot be decoded'),
    'text of another image': (
        dict(segmentation=dict(size=[32, 40], counts=compressed(np.ones((8, 8))))),
        'mask of 64 pixels',
    ),
}


@pytest.mark.parametrize('change, message', FAULTS.values(), ids=FAULTS)
def test_what_would_end_or_falsify_a_run_is_refused_in_planning_and_named_by_the_check(tmp_path, change, message):
    root = write(tmp_path, content(change))
    with pytest.raises(DataError, match=f'instances_train.json: annotation 2 .*{message}'):
        describe('mine', root, 'coco')
    (problem,) = check('mine', root, 'coco').problems
    assert problem.startswith('annotations/instances_train.json: annotation 2 has ')


def test_planning_says_how_many_are_at_fault_and_the_check_names_each(tmp_path):
    root = write(tmp_path, content(dict(area='1'), dict(iscrowd=3), {}))
    with pytest.raises(
        DataError, match="annotation 2 has the area '1': give a number. .2 such objects; cae-bench data che"
    ):
        describe('mine', root, 'coco')
    assert len(check('mine', root, 'coco').problems) == 2


LEFT_OUT = {  # a box less than a pixel wide: `w < 1` is mmdet's rule
    'narrow': (dict(bbox=[2, 2, 0.5, 8]), 'without area'),
    'flat': (dict(bbox=[2, 2, 10, 0]), 'without area'),
    'no area': (dict(area=0), 'without area'),
    'negative area': (dict(area=-4), 'without area'),
    'right of the image': (dict(bbox=[41, 2, 10, 8]), 'outside of their images'),
    'marked': (dict(ignore=1), 'marked to be ignored'),
}


@pytest.mark.parametrize('change, reason', LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_mmdet_leaves_out_is_counted_and_nothing_else_is(tmp_path, change, reason):
    root = write(tmp_path, content(change, change, {}))
    report = check('mine', root, 'coco')
    assert report.ok
    assert report.warnings == [
        f'annotations/instances_train.json: 2 objects (annotations 2, 3) {reason}: left out of training.'
    ]
    assert describe('mine', root, 'coco').num_train == 2
    assert len(loaded(root)) == 2  # annotations 1 and 4


SOUND = {
    'polygon a little outside': dict(segmentation=[[-3, 2, 44, 2, 12, 36.5]]),
    'runs': dict(segmentation=dict(size=[32, 40], counts=[100, 50, 1130])),
    'compressed runs': dict(segmentation=dict(size=[32, 40], counts=compressed(np.eye(32, 40)))),
    'iscrowd true': dict(iscrowd=True),
    'iscrowd 1.0': dict(iscrowd=1.0),
    'id 7.0': dict(id=7.0),
}


@pytest.mark.parametrize('change', SOUND.values(), ids=SOUND)
def test_what_the_loader_takes_is_no_problem(tmp_path, change):
    root = write(tmp_path, content(change))
    report = check('mine', root, 'coco')
    assert report.ok and not report.warnings
    assert len(loaded(root)) == 2


def loaded(root):
    from mmdet.datasets import CocoDataset
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')
    data = CocoDataset(
        ann_file='annotations/instances_train.json',
        data_root=str(root),
        data_prefix=dict(img='images/train'),
        metainfo=dict(classes=('cup',)),
        pipeline=[dict(type='cae_bench.LoadImage'), dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True)],
    )
    return data[0]['gt_masks'].masks


BROKEN = {
    'annotation id of text': (
        lambda c: c['annotations'][1].update(id='x'),
        "annotation 'x' has the id 'x': give a whole numb",
    ),
    'negative id': (lambda c: c['annotations'][1].update(id=-1), 'annotation -1 has the id -1'),
    'list as image': (lambda c: c['annotations'][1].update(image_id=[1]), r'annotation 2 has the image_id \[1\]'),
    'category of 1.5': (lambda c: c['categories'][0].update(id=1.5), "category 'cup' with the id 1.5"),
    'category without a name': (lambda c: c['categories'][0].update(name=None), 'category None with the id 1'),
    'image id of text': (lambda c: c['images'][0].update(id='1'), "image number 0: id '1' is no whole number from 0"),
    'file of number': (lambda c: c['images'][0].update(file_name=3), 'image number 0: file_name 3 is no text'),
    'height of text': (
        lambda c: c['images'][1].update(height='32'),
        "image number 1: height '32' and width 40 must be whole",
    ),
    'width of 40.0': (lambda c: c['images'][1].update(width=40.0), 'height 32 and width 40.0 must be whole'),
    'no height': (lambda c: c['images'][1].update(height=0), 'height 0 and width 40 must be whole'),
    'vast': (
        lambda c: c['images'][1].update(height=10**6, width=10**6),
        '1,000,000 x 1,000,000 pixels, at most 89 mill',
    ),
}


@pytest.mark.parametrize('change, message', BROKEN.values(), ids=BROKEN)
def test_ids_names_and_sizes_are_of_their_kind(tmp_path, change, message):
    train = content({})
    change(train)
    root = write(tmp_path, train)
    with pytest.raises(DataError, match=f'instances_train.json: .*{message}'):
        describe('mine', root, 'coco')
    assert len(check('mine', root, 'coco').problems) == 1


def test_a_file_nested_without_end_is_no_json(tmp_path):
    root = write(tmp_path, content())
    (root / 'annotations/instances_train.json').write_text('[' * 200_000)
    with pytest.raises(DataError, match='instances_train.json is no JSON'):
        describe('mine', root, 'coco')


def test_compressed_runs_are_decoded_as_pycocotools_does():
    rng = np.random.default_rng(0)
    for density in (0.02, 0.3, 0.5, 0.98, 0.0, 1.0):
        for shape in ((1, 1), (7, 5), (64, 48), (300, 400)):
            mask = (rng.random(shape) < density).astype(np.uint8)
            edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.ravel()])))
            expected = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
            assert run_lengths(compressed(mask)) == expected
