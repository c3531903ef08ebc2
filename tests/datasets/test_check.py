"""`data check`: every file is read, and what is wrong is named."""

import json

import numpy as np
import pytest
from PIL import Image

from cae_bench.datasets.check import check
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.errors import DataError


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('check') / 'scenes', num_train=12, num_val=6, size=64)


@pytest.fixture
def scenes(sound, tmp_path):
    """A copy to damage. Hard links would let the damage spread, so files are copied one by one."""
    for path in sound.rglob('*'):
        copy = tmp_path / 'scenes' / path.relative_to(sound)
        copy.mkdir(parents=True, exist_ok=True) if path.is_dir() else copy.write_bytes(path.read_bytes())
    return tmp_path / 'scenes'


def repaint(path, change):
    mask = np.asarray(Image.open(path)).copy()
    Image.fromarray(change(mask)).save(path)


def problems(root, layout, name='scenes'):
    report = check(name, root, layout)
    assert not report.ok
    return report.problems


def test_a_sound_folder_is_reported_in_each_of_its_layouts(sound):
    calls = []
    report = check('scenes', sound, progress=lambda done, total: calls.append((done, total)))
    assert report.ok and list(report.layouts) == ['image_folder', 'ade', 'coco']
    assert report.layouts['ade'] == '12 train images, 6 val images, 7 classes'
    objects = [
        len(json.loads((sound / f'annotations/instances_{s}.json').read_text())['annotations'])
        for s in ('train', 'val')
    ]
    assert f'{objects[0]} train objects, 0 images without any; {objects[1]} val objects' in report.layouts['coco']
    assert 'Every file was read; nothing is wrong.' in str(report)
    assert calls[:18] == [(i + 1, 18) for i in range(18)]


def test_every_corrupt_image_is_named_and_the_text_stops_at_twenty(scenes):
    for path in (scenes / 'train/cross').iterdir():
        path.write_bytes(path.read_bytes()[:300])
    found = problems(scenes, 'image_folder')
    assert len(found) == 2 and all('train/cross/' in line and 'no readable image' in line for line in found)
    for i in range(30):
        (scenes / f'train/disc/bad{i}.jpg').write_bytes(b'')
    text = str(check('scenes', scenes, 'image_folder'))
    assert '32 problems:' in text and text.count('no readable image') == 20 and text.endswith('and 12 more')


def test_masks_out_of_range_of_other_size_in_colour_or_unreadable_are_named(scenes):
    masks = scenes / 'annotations/train'
    repaint(masks / '00001.png', lambda m: np.where(m == 0, 99, m).astype(np.uint8))
    repaint(masks / '00002.png', lambda m: m[:50])
    repaint(masks / '00003.png', lambda m: np.stack([m] * 3, -1))
    (masks / '00004.png').write_bytes(b'x')
    found = problems(scenes, 'ade')
    assert len(found) == 4
    assert '00001.png holds label 99: with 7 classes and reduce_zero_label false, labels are 0-6 and 255' in found[3]
    assert '00002.png is 64x50 pixels, its image 64x64' in found[0]
    assert '00003.png has 3 channels' in found[1] and '00004.png is no readable mask' in found[2]


def test_the_ignored_label_is_no_problem(scenes):
    repaint(scenes / 'annotations/val/00001.png', lambda m: np.where(m == 0, 255, m).astype(np.uint8))
    assert check('scenes', scenes, 'ade').ok


def test_a_wrong_reduce_zero_label_shows_itself(scenes):
    meta = json.loads((scenes / 'meta.json').read_text())
    (scenes / 'meta.json').write_text(json.dumps(meta | {'reduce_zero_label': True}))
    report = check('scenes', scenes, 'ade')
    assert report.ok and any(
        'label 0 occurs and label 7 (triangle) never: if 0 is background, reduce_zero_label should be false' in line
        for line in report.warnings
    )
    (scenes / 'meta.json').write_text(json.dumps(dict(classes=meta['classes'][1:], reduce_zero_label=False)))
    assert any(
        'train: labels run to 6, one too many for 6 classes from 0: reduce_zero_label should probably be true' in line
        for line in problems(scenes, 'ade')
    )


def test_the_common_cause_stands_before_the_masks_that_show_it(scenes):
    for split in ('train', 'val'):
        for path in (scenes / f'annotations/{split}').iterdir():
            repaint(path, lambda m: m + 1)
    first, second, *_ = problems(scenes, 'ade')
    assert 'train: labels run to 7, one too many for 7 classes' in first and 'holds label 7' in second


def test_a_class_that_never_occurs_is_mentioned(scenes):
    meta = json.loads((scenes / 'meta.json').read_text())
    (scenes / 'meta.json').write_text(json.dumps(meta | {'classes': [*meta['classes'], 'unicorn']}))
    report = check('scenes', scenes, 'ade')
    assert report.ok and report.warnings == ['train: no pixel of unicorn.', 'val: no pixel of unicorn.']


def test_boxes_sizes_and_segmentations_of_coco_files_are_verified(scenes):
    path = scenes / 'annotations/instances_train.json'
    content = json.loads(path.read_text())
    first = content['annotations']
    first[0]['bbox'] = [3, 3, 0, 5]
    first[1]['bbox'] = [60, 3, 9, 5]
    first[2]['segmentation'] = dict(first[2]['segmentation'], size=[32, 64])
    first[3]['bbox'] = [70, 3, 9, 5]
    first[4]['segmentation'] = [[1, 2, 3, 4]]
    content['images'][-1]['height'] = 63
    content['annotations'] = [a for a in first if a['image_id'] != content['images'][-1]['id']]
    path.write_text(json.dumps(content))
    report = check('scenes', scenes, 'coco')
    assert [line.split(': ', 1)[1] for line in report.warnings] == [
        '1 object (annotation 1) without area: left out of training.',
        '1 object (annotation 4) outside of their images: left out of training.',
        '1 object (annotation 2) with a box that reaches beyond the image.',
    ]
    sizes, *others = report.problems
    assert '00012.jpg is 64x64 pixels, annotations/instances_train.json says 64x63' in sizes
    assert [line.split(': ', 1)[1] for line in others] == [
        'annotation 3 has a mask for [32, 64] (height, width), the image is [64, 64].',
        'annotation 5 has a polygon of fewer than three points, x and y each.',
    ]
    assert '1 images without any' in report.layouts['coco']


def test_what_describe_refuses_is_a_problem_and_the_other_layouts_are_still_read(scenes):
    (scenes / 'meta.json').unlink()
    report = check('scenes', scenes)
    assert len(report.problems) == 1 and 'meta.json is missing' in report.problems[0]
    assert list(report.layouts) == ['image_folder', 'coco']


def test_a_half_built_folder_says_what_is_missing(scenes):
    for part in ('train', 'val'):
        (scenes / part).rename(scenes / f'old_{part}')
        (scenes / f'annotations/instances_{part}.json').unlink()
    (scenes / 'annotations/val').rename(scenes / 'annotations/validation')
    report = check('scenes', scenes)
    assert len(report.problems) == 1 and 'has no annotations/val: scenes needs images/train' in report.problems[0]


def test_a_layout_of_which_a_part_is_missing_is_mentioned_beside_the_whole_ones(scenes):
    (scenes / 'annotations/instances_val.json').unlink()
    report = check('scenes', scenes)
    assert list(report.layouts) == ['image_folder', 'ade']
    assert report.warnings == ['coco layout: annotations/instances_val.json missing, so nothing was read as coco.']
    assert str(report).endswith('Every file was read; nothing is wrong beside what is warned of.')


def test_a_damaged_image_of_two_layouts_is_one_problem(scenes):
    (scenes / 'images/train/00001.jpg').write_bytes(b'x')
    assert len(check('scenes', scenes).problems) == 1


def test_an_image_of_two_layouts_that_is_not_read_as_it_is_is_one_warning(scenes):
    tags = Image.Exif()
    tags[0x0112] = 6
    path = scenes / 'images/train/00001.jpg'
    Image.open(path).convert('RGB').save(path, exif=tags)
    report = check('scenes', scenes)
    assert report.ok and len(report.warnings) == 1 and 'carries an EXIF orientation' in report.warnings[0]


def test_the_full_ade20k_is_recognised_under_any_name(tmp_path):
    (tmp_path / 'images/ADE/training').mkdir(parents=True)
    with pytest.raises(
        DataError, match='no layout that is known here(.|\n)*This looks like the full ADE20K; the bench'
    ):
        check('mine', tmp_path)


def test_counts_are_held_against_the_official_ones(tmp_path):
    for split in ('train', 'val'):
        (tmp_path / split / 'n01440764').mkdir(parents=True)
        Image.new('RGB', (4, 4)).save(tmp_path / split / 'n01440764/a.JPEG')
    report = check('in1k', tmp_path)
    assert report.ok and [line.split(':')[0] for line in report.warnings] == [
        '1 train images; the official in1k has 1,281,167',
        '1 val images; the official in1k has 50,000',
        '1 classes; the official in1k has 1,000',
    ]


def test_foreign_categories_under_the_name_coco_are_a_problem(scenes):
    for split in ('train', 'val'):
        (scenes / 'images' / split).rename(scenes / f'{split}2017')
        (scenes / f'annotations/instances_{split}.json').rename(scenes / f'annotations/instances_{split}2017.json')
    assert 'the categories are not those of COCO 2017' in problems(scenes, 'coco', name='coco')[0]


def test_a_folder_that_is_missing_or_of_no_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match='absent does not exist'):
        check('x', tmp_path / 'absent')
    with pytest.raises(DataError, match='no layout that is known here.\nimage_folder: train, val; ade: images/train'):
        check('x', tmp_path)
