"""Damaged images and masks are named, in the process and out of a data loader's worker."""

import numpy as np
import pytest
from PIL import Image

from cae_bench.datasets.dense_transforms import CheckMask, LoadImage
from cae_bench.errors import DataError


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / 'street.jpg'
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    return path


def test_an_image_is_read_as_mmcv_reads_it(picture):
    from mmcv.transforms import LoadImageFromFile

    ours, theirs = (load()(dict(img_path=str(picture))) for load in (LoadImage, LoadImageFromFile))
    assert np.array_equal(ours['img'], theirs['img']) and ours['ori_shape'] == theirs['ori_shape'] == (40, 60)


@pytest.mark.parametrize(
    'damage, word',
    [
        (lambda p: p.write_bytes(b'not an image'), 'is no readable image .of no known kind.: replace or delete'),
        (lambda p: p.write_bytes(b''), 'is no readable image .of no known kind.: replace or delete'),
        (
            lambda p: p.write_bytes(p.read_bytes()[:-30]),
            'is no readable image .image file is truncated.*: replace or delete',
        ),
        (lambda p: p.unlink(), 'is gone since the folder was listed: put it back'),
    ],
    ids=['text', 'empty', 'cut short', 'missing'],
)
def test_a_damaged_image_is_named_with_what_is_wrong(picture, damage, word):
    damage(picture)
    with pytest.raises(DataError, match=f'street.jpg {word}'):
        LoadImage()(dict(img_path=str(picture)))


def test_a_whole_jpeg_with_bytes_after_its_end_is_fine(picture):
    picture.write_bytes(picture.read_bytes() + bytes(10000))
    assert LoadImage()(dict(img_path=str(picture)))['img'].shape == (40, 60, 3)


def test_the_name_survives_the_way_out_of_a_worker(picture):
    from torch.utils.data import DataLoader

    picture.write_bytes(b'not an image')
    dataset = [dict(img_path=str(picture))]
    loader = DataLoader(dataset, num_workers=1, collate_fn=lambda rows: [LoadImage()(row) for row in rows])
    with pytest.raises(DataError, match='street.jpg is no readable image'):
        list(loader)


def checked(mask, **kwargs):
    return CheckMask(num_classes=3)(dict(seg_map_path='/d/a.png', gt_seg_map=np.array(mask, np.uint8), **kwargs))


def test_labels_within_the_classes_and_ignored_pixels_pass():
    assert checked([[0, 2], [1, 255]], ori_shape=(2, 2))['seg_map_path'] == '/d/a.png'


def test_a_value_outside_the_classes_is_named_as_the_file_has_it():
    with pytest.raises(
        DataError,
        match='/d/a.png holds label 7: with 3 classes and reduce_zero_label false, labels are 0-2 and 255 .ign',
    ):
        checked([[0, 7]])
    with pytest.raises(DataError, match='holds label 8: with 3 classes and reduce_zero_label true, labels are 0-3'):
        checked([[0, 7]], reduce_zero_label=True)  # the reader has subtracted one


def test_a_mask_of_another_shape_is_named():
    with pytest.raises(DataError, match='/d/a.png: a mask of shape .2, 2, 3.; save it with one channel'):
        checked(np.zeros((2, 2, 3)))
    with pytest.raises(DataError, match='/d/a.png: mask of 2x2 for an image of 4x6 .rows x columns.'):
        checked(np.zeros((2, 2)), ori_shape=(4, 6))


def test_a_mask_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / 'mask.png'
    path.write_bytes(b'nothing')
    check = CheckMask(3, load=dict(type='mmseg.LoadAnnotations'))
    with pytest.raises(DataError, match='mask.png: the mask cannot be read .*replace it or remove it'):
        check(dict(seg_map_path=str(path), seg_fields=[], reduce_zero_label=False))


def test_the_reader_s_rule_for_label_zero_is_kept(tmp_path):
    path = tmp_path / 'mask.png'
    Image.fromarray(np.array([[0, 1], [3, 255]], np.uint8)).save(path)
    check = CheckMask(3, load=dict(type='mmseg.LoadAnnotations'))
    results = check(dict(seg_map_path=str(path), seg_fields=[], reduce_zero_label=True, label_map=None))
    assert results['gt_seg_map'].tolist() == [[255, 0], [2, 255]]
