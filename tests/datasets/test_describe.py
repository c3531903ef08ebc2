"""A data folder is described, or refused with what is wrong and what to do."""

import json
from pathlib import Path

import numpy as np
from small_folders import META, edit, objects, picture, refused

from cae_bench import compat  # noqa: F401  mmdet alone cannot be imported where mmcv has no compiled ops
from cae_bench.datasets.describe import describe
from cae_bench.datasets.layouts.ade import ADE20K_CLASSES
from cae_bench.datasets.layouts.coco import COCO_CLASSES
from cae_bench.datasets.scenes.make import make_scenes


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
