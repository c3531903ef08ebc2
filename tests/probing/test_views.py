"""Views and the order of a pass: what is random depends on seed, epoch and image alone."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

from cae_bench.datasets import pass_sampler
from cae_bench.datasets.pass_sampler import PassSampler
from cae_bench.probing.views import CenterView, ClampedCropView, ImageViews, RandomCropView, held_out_images, to_tensor


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('views')
    rng = np.random.default_rng(0)
    for name in ('a', 'b'):
        (folder / 'train' / name).mkdir(parents=True)
        for i in range(11):
            pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / 'train' / name / f'{i}.png')
    return str(folder)


CROP, CENTRE = dict(type='cae_bench.RandomCropView', size=8), dict(type='cae_bench.CenterView', size=8, resize=8)


def test_an_item_is_the_same_whenever_it_is_asked_for_and_differs_by_epoch_seed_and_view(root):
    data = ImageViews(root, views=dict(one=CROP, two=CROP, eval=CENTRE))
    first = data[0, 3, 5]
    random.seed(99), torch.manual_seed(99), data[0, 0, 0]
    again = data[0, 3, 5]
    for view in first['views']:
        assert torch.equal(first['views'][view], again['views'][view])
    assert not torch.equal(first['views']['one'], first['views']['two'])
    assert not torch.equal(first['views']['one'], data[0, 4, 5]['views']['one'])
    assert not torch.equal(first['views']['one'], data[1, 3, 5]['views']['one'])
    assert torch.equal(first['views']['eval'], data[1, 4, 5]['views']['eval'])
    assert first['image'] == 'a/4.png' and first['label'] == 0 and first['index'] == 5  # 0 1 10 2 3 4: by name


def test_a_view_needed_once_is_made_in_the_first_epoch_only_and_without_views_nothing_is_decoded(root, monkeypatch):
    data = ImageViews(root, views=dict(one=CROP, eval=CENTRE), once=['eval'])
    assert set(data[0, 0, 0]['views']) == {'one', 'eval'} and set(data[0, 1, 0]['views']) == {'one'}
    data = ImageViews(root, views=dict(eval=CENTRE), once=['eval'])
    monkeypatch.setattr('cae_bench.probing.views.read_image', lambda path: pytest.fail('decoded'))
    assert data[0, 1, 0]['label'] == 0


def test_center_view_resizes_the_short_side_and_cuts_the_centre():
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 200
    view = CenterView(size=20, resize=20)(Image.fromarray(pixels))
    assert view.shape == (3, 20, 20) and view.dtype == torch.uint8 and (view == 200).all()


@pytest.mark.parametrize('kind', [RandomCropView, ClampedCropView])
def test_boxes_lie_inside_the_image_and_cover_the_asked_share(kind):
    view, rng, shares = kind(8), random.Random(0), []
    for width, height in [(40, 30), (500, 20), (7, 300), (1, 1)]:
        for _ in range(300):
            left, top, w, h = view.box(width, height, rng)
            assert left >= 0 and top >= 0 and left + w <= width and top + h <= height and w > 0 and h > 0
            if width == 40:
                shares.append(w * h / (width * height))
    assert 0.06 < min(shares) < 0.2 and 0.8 < max(shares) <= 1.0


def test_clamped_boxes_reach_the_border_where_retried_ones_draw_again():
    """A box too wide for the image: clamping keeps the draw and its full width, retrying looks for one that fits."""
    rng = random.Random(0)
    wide = [ClampedCropView(8, scale=(0.9, 1.0)).box(100, 100, rng) for _ in range(300)]
    assert sum(w == 100 or h == 100 for *_, w, h in wide) > 200
    fitted = [RandomCropView(8, scale=(0.9, 1.0)).box(100, 100, rng) for _ in range(300)]
    assert all(w * h >= 0.88 * 100 * 100 for *_, w, h in fitted)


def test_crops_are_resized_by_pil_bicubic():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    view = RandomCropView(16, flip=0.0)
    left, top, w, h = view.box(40, 30, random.Random(5))
    expected = image.crop((left, top, left + w, top + h)).resize((16, 16), Image.Resampling.BICUBIC)
    assert torch.equal(view(image, random.Random(5)), to_tensor(expected))


def test_held_out_images_are_a_fixed_share_of_every_class(root):
    data = ImageViews(root, views={}, held_out=0.1)
    assert sorted(data.labels[i] for i in data.held_out) == [0, 0, 1, 1]  # ceil(1.1) each
    held = ImageViews(root, views=dict(eval=CENTRE), held_out=0.1, only_held_out=True)
    assert held.paths == [data.paths[i] for i in sorted(data.held_out)] and held[0, 0, 0]['held_out']
    assert held_out_images(['x/1.png'], [0], 0.5) == set(), 'a class of one image keeps it for training'


def shares(monkeypatch, size, world, block, **kwargs):
    own = []
    for rank in range(world):
        monkeypatch.setattr(pass_sampler, 'get_dist_info', lambda r=rank: (r, world))
        sampler = PassSampler(range(size), seed=3, **kwargs)
        sampler.block = block
        assert len(sampler) == len(sampler.own())
        own.append(sampler.own())
    return own


def test_processes_share_the_order_of_one_process_in_whole_blocks(monkeypatch):
    (whole,) = shares(monkeypatch, 50, 1, 8)
    assert sorted(whole) == list(range(50))
    two = shares(monkeypatch, 50, 2, 8)
    assert two[0][:8] == whole[:8] and two[1][:8] == whole[8:16] and two[0][8:16] == whole[16:24]
    assert set(two[0]) | set(two[1]) == set(range(50)) and len(two[0]) == len(two[1])


def test_the_order_changes_with_epoch_and_seed_and_skips_what_was_seen():
    sampler = PassSampler(range(50), seed=1)
    first = list(sampler)
    sampler.skip = 20
    assert list(sampler) == first[20:] and list(sampler) == first
    sampler.set_epoch(1)
    assert {e for _, e, _ in sampler} == {1} and [i for *_, i in sampler] != [i for *_, i in first]
    assert [i for *_, i in PassSampler(range(50), seed=2)] != [i for *_, i in first]
    assert [i for *_, i in PassSampler(range(5), shuffle=False)] == list(range(5))
