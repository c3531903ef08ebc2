"""Views, masks and order of pretraining images."""

import random

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from PIL import Image

from cae_bench.datasets.layouts import training_folders
from cae_bench.errors import DataError
from cae_bench.pretraining.images import PretrainImages, TwoViews, UpdateSampler

VIEW = dict(type='cae_bench.TwoViews', size=32, second_size=16)
MASK = dict(type='cae_bench.BlockMask', grid=(4, 4), num_masked=8, min_block=2)


@pytest.fixture(scope='module')
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))


@pytest.fixture(scope='module')
def folder(tmp_path_factory, picture) -> str:
    root = tmp_path_factory.mktemp('loose')
    for i in range(12):
        picture.rotate(30 * i).save(root / f'{i:02d}.png')
    return str(root)


def test_both_views_are_one_crop_resized_by_pil_with_the_published_filters(picture):
    view = TwoViews(size=224, second_size=112, flip=1.0)
    rng, same = random.Random(5), random.Random(5)
    left, top, width, height = view.crop.box(*picture.size, same)
    crop = picture.crop((left, top, left + width, top + height)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    made = view(picture, rng)
    for name, side, how in (('inputs', 224, Image.Resampling.BICUBIC), ('second', 112, Image.Resampling.LANCZOS)):
        assert np.array_equal(made[name].permute(1, 2, 0).numpy(), np.array(crop.resize((side, side), how)))


def test_crops_cover_the_range_of_areas_asked_for_and_half_are_flipped(picture):
    view = TwoViews(size=8, scale=(0.2, 0.5))
    boxes = [view.crop.box(400, 400, random.Random(i)) for i in range(500)]
    areas = np.array([w * h / 160000 for _, _, w, h in boxes])
    assert 0.19 < areas.min() < 0.23 and 0.47 < areas.max() < 0.51
    gradient = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (64, 1, 3)))
    flipped = [bool(view(gradient, random.Random(i))['inputs'][0, 0].float().diff().sum() < 0) for i in range(400)]
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.08)


def test_colour_jitter_changes_colours_and_nothing_else(picture):
    plain, jittered = (
        TwoViews(size=32, color_jitter=c, flip=0.0)(picture, random.Random(1))['inputs'] for c in (0.0, 0.4)
    )
    assert jittered.shape == plain.shape and not torch.equal(jittered, plain)


def test_items_depend_on_seed_epoch_and_image_alone(folder):
    data = PretrainImages(folder, VIEW, MASK)
    a, again, other_epoch, other_seed = (data[key] for key in ((0, 1, 5), (0, 1, 5), (0, 2, 5), (1, 1, 5)))
    assert all(torch.equal(a[k], again[k]) for k in ('inputs', 'second', 'mask'))
    assert not torch.equal(a['mask'], other_epoch['mask']) or not torch.equal(a['inputs'], other_epoch['inputs'])
    assert not torch.equal(a['inputs'], other_seed['inputs'])


def test_workers_and_memory_change_nothing(folder):
    def passes(workers: int, in_memory: bool):
        data = PretrainImages(folder, VIEW, MASK, in_memory=in_memory)
        loader = torch.utils.data.DataLoader(
            data, 4, sampler=UpdateSampler(data, 3), num_workers=workers, collate_fn=default_collate
        )
        return list(loader)

    for one, two in zip(passes(0, False), passes(2, True), strict=True):
        assert all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize('layout', training_folders())
def test_the_training_split_of_a_known_layout_is_taken(layout, picture, tmp_path):
    for place in (layout, 'val', 'images/val'):
        (tmp_path / place / 'deep').mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / place / 'deep/a.png')
    assert PretrainImages(str(tmp_path), VIEW, MASK).path(0) == str(tmp_path / layout / 'deep/a.png')


def test_update_sampler_gives_whole_updates_and_the_same_images_to_any_number_of_processes():
    whole = UpdateSampler(range(50), seed=1, images_per_update=16)
    assert len(whole) == 48
    whole.set_epoch(2)
    order = [i for _, _, i in whole]
    assert len(set(order)) == 48
    shares = []
    for rank in range(4):
        part = UpdateSampler(range(50), seed=1, images_per_update=16)
        part.rank, part.world_size = rank, 4
        part.set_epoch(2)
        shares.append([i for _, _, i in part])
    for update in range(3):  # each update holds the same sixteen images
        together = [i for share in shares for i in share[4 * update : 4 * update + 4]]
        assert set(together) == set(order[16 * update : 16 * update + 16])


def test_update_sampler_goes_on_in_the_middle_of_an_epoch():
    whole, part = (UpdateSampler(range(40), seed=1, images_per_update=8) for _ in range(2))
    part.skip = 24
    assert list(part) == list(whole)[24:] and list(part) == list(whole)


def test_fewer_images_than_an_update_are_refused(folder):
    with pytest.raises(DataError, match='holds 12 images, fewer than the batch of 16'):
        UpdateSampler(PretrainImages(folder, VIEW, MASK), images_per_update=16)
