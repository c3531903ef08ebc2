"""A folder that is missing or of another layout is refused with what stands there instead."""

import pytest
from small_folders import picture, refused


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


def test_an_unknown_layout_is_refused(coco):
    refused(coco, 'voc', "'voc' is no layout: choose image_folder, ade, coco")
