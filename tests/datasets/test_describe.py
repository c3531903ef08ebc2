"""A data folder is described, or refused with what is wrong and what to do."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cae_bench import compat  # noqa: F401  mmdet alone cannot be imported where mmcv has no compiled ops
from cae_bench.datasets.describe import describe
from cae_bench.datasets.layouts.ade import ADE20K_CLASSES
from cae_bench.datasets.layouts.coco import COCO_CLASSES
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.errors import DataError

META = dict(classes=['road', 'sky'], reduce_zero_label=True)


def picture(path, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB' if path.suffix != '.png' else 'L', size).save(path)


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / 'animals'
    for name in ('train/cat/1', 'train/cat/2', 'train/dog/1', 'val/cat/1', 'val/dog/1'):
        picture(root / f'{name}.jpg')
    return root


@pytest.fixture
def ade(tmp_path):
    root = tmp_path / 'streets'
    for name in ('train/a', 'train/b', 'val/c'):
        picture(root / f'images/{name}.jpg')
        picture(root / f'annotations/{name}.png')
    (root / 'meta.json').write_text(json.dumps(META))
    return root


def objects(split, count):
    return dict(
        images=[dict(id=i, file_name=f'{split}{i}.jpg', height=6, width=8) for i in range(count)],
        annotations=[
            dict(
                id=7,
                image_id=0,
                category_id=3,
                bbox=[0, 0, 4, 4],
                area=16,
                iscrowd=0,
                segmentation=[[0, 0, 4, 0, 4, 4, 0, 4]],
            )
        ],
        categories=[dict(id=3, name='car'), dict(id=1, name='bus')],
    )


@pytest.fixture
def coco(tmp_path):
    root = tmp_path / 'cars'
    for split, count in (('train', 3), ('val', 2)):
        for i in range(count):
            picture(root / f'images/{split}/{split}{i}.jpg')
        (root / 'annotations').mkdir(exist_ok=True)
        (root / f'annotations/instances_{split}.json').write_text(json.dumps(objects(split, count)))
    return root


def refused(root, layout, message, name='mine'):
    with pytest.raises(DataError, match=message) as caught:
        describe(name, root, layout)
    assert str(caught.value).count('\n') < 2  # one or two lines


def edit(root, change, split='train'):
    path = root / f'annotations/instances_{split}.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_an_image_folder_is_described(folders):
    info = describe('mine', folders, 'image_folder')
    assert (info.classes, info.num_train, info.num_val) == (('cat', 'dog'), 3, 2)
    assert info.extra == dict(train_dir='train', val_dir='val') and info.root == str(folders)


def test_an_ade_folder_is_described(ade):
    info = describe('mine', ade, 'ade')
    assert (info.classes, info.num_train, info.num_val) == (('road', 'sky'), 2, 1)
    assert info.extra == dict(
        train_img='images/train',
        val_img='images/val',
        train_ann='annotations/train',
        val_ann='annotations/val',
        img_suffix='.jpg',
        seg_map_suffix='.png',
        reduce_zero_label=True,
    )


def test_a_coco_folder_is_described_with_classes_in_the_files_order(coco):
    info = describe('mine', coco, 'coco')
    assert (info.classes, info.num_train, info.num_val) == (('car', 'bus'), 3, 2)
    assert info.extra == dict(
        train_img='images/train',
        val_img='images/val',
        train_ann='annotations/instances_train.json',
        val_ann='annotations/instances_val.json',
    )


def test_official_folders_have_their_own_names_and_classes(tmp_path):
    for split in ('training', 'validation'):
        picture(tmp_path / f'ADEChallengeData2016/images/{split}/x.jpg')
        picture(tmp_path / f'ADEChallengeData2016/annotations/{split}/x.png')
    info = describe('ade20k', tmp_path / 'ADEChallengeData2016', 'ade')
    assert info.classes == ADE20K_CLASSES and info.extra['reduce_zero_label'] is True
    assert info.extra['train_ann'] == 'annotations/training'
    for split in ('train', 'val'):
        picture(tmp_path / f'coco/{split}2017/{split}0.jpg')
        (tmp_path / 'coco/annotations').mkdir(exist_ok=True)
        (tmp_path / f'coco/annotations/instances_{split}2017.json').write_text(json.dumps(objects(split, 1)))
    assert describe('coco', tmp_path / 'coco', 'coco').extra['val_img'] == 'val2017'
    for split in ('train', 'val'):
        picture(tmp_path / f'imagenet/{split}/n01440764/{split}.JPEG')
    assert describe('in1k', tmp_path / 'imagenet', 'image_folder').classes == ('n01440764',)


def test_the_official_class_lists_are_complete():
    assert len(set(COCO_CLASSES)) == 80 and COCO_CLASSES[0] == 'person' and COCO_CLASSES[-1] == 'toothbrush'
    assert len(set(ADE20K_CLASSES)) == 150 and ADE20K_CLASSES[0] == 'wall' and ADE20K_CLASSES[-1] == 'flag'
    assert ADE20K_CLASSES[44] == 'chest of drawers'  # line breaks in the list are no part of a name


def test_the_hash_follows_names_contents_and_what_coco_files_and_meta_say(folders, ade, coco):
    def hashes():
        return [
            describe('x', root, layout).content_hash
            for root, layout in ((folders, 'image_folder'), (ade, 'ade'), (coco, 'coco'))
        ]

    before = hashes()
    assert before == hashes() and len(set(before)) == 3
    (folders / 'val/cat/1.jpg').write_bytes(b'other size')
    (ade / 'meta.json').write_text(json.dumps(META | {'classes': ['sky', 'road']}))
    edit(coco, lambda c: c['annotations'][0].update(bbox=[0, 0, 4, 5]))
    assert not set(before) & set(hashes())
    (folders / 'val/cat/1.jpg').rename(folders / 'val/cat/3.jpg')
    assert hashes()[0] not in before


def test_the_hash_does_not_depend_on_where_the_folder_lies(folders, tmp_path):
    before = describe('x', folders, 'image_folder').content_hash
    assert describe('x', folders.rename(tmp_path / 'moved'), 'image_folder').content_hash == before


def test_a_missing_folder_names_its_nearest_sibling(folders):
    refused(folders.parent / 'anmials', 'image_folder', 'anmials does not exist: did you mean .*animals?')
    refused(folders.parent / 'anmials/deep/er', 'image_folder', 'anmials does not exist: did you mean .*animals?')
    refused(folders.parent / 'zzz', 'image_folder', 'zzz does not exist: check the path')
    refused(folders / 'train/cat/1.jpg', 'image_folder', 'is a file: give the data set')


def test_the_wrong_layout_is_recognised(folders, ade, coco):
    refused(folders, 'ade', 'has no images/train: mine needs images/train.*\nThis looks like the image_folder layout')
    refused(ade, 'coco', 'has no annotations/instances_train.json.*\nThis looks like the ade layout')
    refused(coco, 'ade', 'has no annotations/train:.*\nThis looks like the coco layout')
    refused(ade, 'image_folder', 'has no train: .*\nThis looks like the ade layout')


def test_the_folder_one_level_down_is_offered(ade):
    refused(ade.parent, 'ade', 'Did you mean .*streets?')


def test_official_folders_under_an_own_name_are_recognised(tmp_path):
    for split in ('training', 'validation'):
        picture(tmp_path / f'images/{split}/x.jpg')
        picture(tmp_path / f'annotations/{split}/x.png')
    refused(tmp_path, 'ade', f'This looks like official ade20k .call it ade20k={tmp_path}')


def test_official_names_insist_on_their_layout(coco):
    refused(
        coco,
        'image_folder',
        'coco is the official data set in coco layout, but image_folder layout is asked for: '
        'give your own data another name',
        name='coco',
    )


@pytest.mark.parametrize(
    'sign', ['images/ADE/training/street/x.jpg', 'images/training/a/abbey/ADE_train_1.jpg', 'index_ade20k.pkl']
)
def test_the_full_ade20k_is_told_from_the_benchmark(tmp_path, sign):
    (tmp_path / sign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / sign).write_bytes(b'')
    refused(tmp_path, 'ade', 'looks like the full ADE20K; the benchmark is on ADEChallengeData2016', name='ade20k')


def test_an_empty_class_is_named(folders):
    (folders / 'train/cat/1.jpg').unlink()
    (folders / 'train/cat/2.jpg').rename(folders / 'train/cat/notes.txt')
    refused(folders, 'image_folder', 'train: no images in class cat: add some, or delete the class')


def test_a_class_of_one_split_only_is_named(folders):
    picture(folders / 'val/eel/1.jpg')
    refused(folders, 'image_folder', 'class eel in val but not in train')
    (folders / 'val/eel/1.jpg').unlink()
    (folders / 'val/eel').rmdir()
    for name in 'vwxyz':
        picture(folders / f'train/{name}/1.jpg')
    refused(folders, 'image_folder', 'classes v, w, x and 2 more in train but not in val')


def test_images_outside_class_folders_are_named(folders):
    picture(folders / 'val/stray.jpg')
    refused(folders, 'image_folder', 'val: image stray.jpg outside the class folders')


def test_an_unsorted_official_val_is_explained(tmp_path):
    picture(tmp_path / 'train/n01440764/a.jpg')
    for i in range(2):
        picture(tmp_path / f'val/ILSVRC2012_val_0000000{i}.JPEG')
    refused(
        tmp_path,
        'image_folder',
        name='in1k',
        message='val holds 2 loose images and no class folders: sort its images into val/<class>/',
    )


def test_images_and_masks_must_pair_up(ade):
    (ade / 'annotations/train/b.png').unlink()
    refused(ade, 'ade', 'annotations/train: no mask for image b: add <name>.png')
    (ade / 'images/train/b.jpg').unlink()
    picture(ade / 'annotations/val/d.png')
    refused(ade, 'ade', 'images/val: no image for mask d: add it, or delete the mask')


def test_an_ade_split_without_images_is_named(ade):
    (ade / 'images/val/c.jpg').unlink()
    refused(ade, 'ade', 'images/val holds no images')


def test_images_with_several_endings_are_refused(ade):
    (ade / 'images/train/a.jpg').rename(ade / 'images/train/a.webp')
    refused(ade, 'ade', r'several endings \(.jpg, .webp\): convert or rename')
    picture(ade / 'images/train/a.jpg')
    refused(ade, 'ade', 'image a with two endings share one mask')


@pytest.mark.parametrize(
    'text, message',
    [
        (None, r'meta.json is missing: write the class names in label order, e.g. {"classes"'),
        ('{"classes": [', 'meta.json is no JSON'),
        ('[]', '"classes" must be a list of names'),
        ('{"classes": []}', '"classes" must be a list of names'),
        ('{"classes": ["a", 2]}', '"classes" must be a list of names'),
        ('{"classes": ["a", "b", "a"], "reduce_zero_label": true}', "class 'a' is listed twice"),
        ('{"classes": ["a", "b"]}', '"reduce_zero_label" must be true'),
        ('{"classes": ["a", "b"], "reduce_zero_label": "yes"}', '"reduce_zero_label" must be true'),
    ],
)
def test_a_broken_meta_file_is_explained(ade, text, message):
    (ade / 'meta.json').unlink() if text is None else (ade / 'meta.json').write_text(text)
    refused(ade, 'ade', message)


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda c: c['annotations'][0].update(category_id=9),
            'annotation 7 names category 9, which is not listed .1 such',
        ),
        (lambda c: c['annotations'][0].update(image_id=9), 'annotation 7 names image 9, which is not listed'),
        (lambda c: c['annotations'].append(c['annotations'][0]), 'annotation id 7 occurs more than once'),
        (lambda c: c['images'][1].update(id=0), 'image id 0 occurs more than once'),
        (lambda c: c['images'][1].update(file_name='train0.jpg'), 'image train0.jpg occurs more than once'),
        (lambda c: c['categories'][1].update(id=3), 'category id 3 occurs more than once'),
        (lambda c: c['categories'][1].update(name='car'), 'category car occurs more than once'),
        (
            lambda c: c['annotations'][0].pop('iscrowd'),
            "annotation 7 has no 'iscrowd': every annotation needs area, bbox",
        ),
        (lambda c: c['images'][0].pop('height'), "image 0 has no 'height'"),
        (
            lambda c: c['annotations'][0].update(segmentation=[]),
            'annotation 7 has no segmentation: give polygons or a run',
        ),
        (lambda c: c.update(categories=[], annotations=[]), 'has no categories'),
        (lambda c: c.update(images=[], annotations=[]), 'lists no images'),
        (lambda c: c.pop('images'), "has no list 'images': it is no COCO instances file"),
        (
            lambda c: c['images'].append(dict(id=5, file_name='gone.jpg', height=6, width=8)),
            'images/train: image gone.jpg of annotations/instances_train.json missing: copy',
        ),
        (lambda c: c['categories'].reverse(), 'list different categories, or in another order'),
    ],
)
def test_a_broken_coco_file_is_explained(coco, change, message):
    edit(coco, change)
    refused(coco, 'coco', message)


def test_a_coco_file_that_is_no_json_is_explained(coco):
    path = coco / 'annotations/instances_val.json'
    path.write_text(path.read_text()[:100])
    refused(coco, 'coco', 'instances_val.json is no JSON')


def test_an_unknown_layout_is_refused(coco):
    refused(coco, 'voc', "'voc' is no layout: choose image_folder, ade, coco")


def test_nothing_but_names_and_sizes_of_images_is_read(ade, coco, folders):
    for root, layout in ((folders, 'image_folder'), (ade, 'ade'), (coco, 'coco')):
        for path in (*root.rglob('*.jpg'), *root.rglob('*.png')):
            path.write_bytes(np.random.default_rng(0).bytes(9))
        describe('x', root, layout)


def test_training_images_without_objects_are_not_trained_on_as_mmdet_has_it(tmp_path):
    from mmdet.datasets import CocoDataset
    from mmengine.registry import DefaultScope

    make_scenes(scenes := tmp_path / 'scenes', num_train=6, num_val=6)
    info = describe('own', scenes, 'coco')
    assert info.num_trained == info.num_train == 6
    path = Path(info.root, info.extra['train_ann'])
    content = json.loads(path.read_text())
    bare = {image['id'] for image in content['images'][:2]}
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] not in bare]
    path.write_text(json.dumps(content))
    info = describe('own', info.root, 'coco')
    assert (info.num_train, info.num_trained) == (6, 4)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = CocoDataset(
            info.extra['train_ann'],
            data_root=info.root,
            data_prefix=dict(img=info.extra['train_img']),
            metainfo=dict(classes=info.classes),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=[],
        )
    assert len(dataset) == info.num_trained
