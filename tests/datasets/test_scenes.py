"""The drawn scenes: the same from the same seed, and three layouts that say the same of every pixel."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from cae_bench.datasets.describe import describe
from cae_bench.datasets.scenes.drawing import NAMES, draw_scene
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.datasets.scenes.shapes import SHAPES
from cae_bench.errors import DataError

SMALL = dict(num_train=12, num_val=6, size=64)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('scenes') / 'small', seed=3, **SMALL)


def contents(root) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob('*') if path.is_file()}


def coco_of(root, split) -> dict:
    return json.loads((root / f'annotations/instances_{split}.json').read_text())


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(scenes, tmp_path):
    again = make_scenes(tmp_path / 'again', seed=3, **SMALL)
    other = make_scenes(tmp_path / 'other', seed=4, **SMALL)
    assert contents(again) == contents(scenes)
    drawn, redrawn = ({k: v for k, v in contents(root).items() if k.endswith('.jpg')} for root in (scenes, other))
    assert drawn.keys() == redrawn.keys() and all(drawn[k] != redrawn[k] for k in drawn)


def test_a_scene_does_not_depend_on_how_many_are_drawn(scenes, tmp_path):
    more = make_scenes(tmp_path / 'more', seed=3, num_train=18, num_val=6, size=64)
    small, large = contents(scenes), contents(more)
    pictures = [k for k in small if k.endswith(('.jpg', '.png'))]
    assert all(small[k] == large[k] for k in pictures)
    assert len([k for k in large if k.endswith(('.jpg', '.png'))]) == len(pictures) + 6 * 3


def test_a_split_repeats_no_scene_of_the_other(scenes):
    files = contents(scenes)
    train = {v for k, v in files.items() if k.startswith('images/train')}
    val = {v for k, v in files.items() if k.startswith('images/val')}
    assert len(train) == 12 and len(val) == 6 and not train & val


@pytest.mark.parametrize('split', ['train', 'val'])
def test_masks_and_coco_objects_agree_pixel_by_pixel(scenes, split):
    classes = json.loads((scenes / 'meta.json').read_text())['classes']
    coco = coco_of(scenes, split)
    names = {category['id']: category['name'] for category in coco['categories']}
    for image in coco['images']:
        painted = np.zeros((image['height'], image['width']), int)
        covered = np.zeros_like(painted)
        for thing in (a for a in coco['annotations'] if a['image_id'] == image['id']):
            mask = coco_mask.decode(thing['segmentation']).astype(bool)
            rows, columns = np.nonzero(mask)
            tight = [columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1]
            assert thing['bbox'] == tight and thing['area'] == mask.sum() and thing['iscrowd'] == 0
            painted[mask] = classes.index(names[thing['category_id']])
            covered += mask
        label = np.asarray(Image.open(scenes / 'annotations' / split / image['file_name'].replace('.jpg', '.png')))
        assert covered.max() == 1
        assert (painted == label).all() and classes[0] == 'background'


@pytest.mark.parametrize('split', ['train', 'val'])
def test_the_folder_is_the_class_of_the_largest_visible_object(scenes, split):
    coco = coco_of(scenes, split)
    names = {category['id']: category['name'] for category in coco['categories']}
    for image in coco['images']:
        things = sorted((a for a in coco['annotations'] if a['image_id'] == image['id']), key=lambda a: -a['area'])
        copy = scenes / split / names[things[0]['category_id']] / image['file_name']
        assert copy.read_bytes() == (scenes / 'images' / split / image['file_name']).read_bytes()
        assert things[0]['area'] > 1.1 * things[1]['area']  # the class of the picture is no matter of taste
    assert len(list((scenes / split).rglob('*.jpg'))) == len(coco['images'])


def test_describe_reads_all_three_layouts_and_classes_are_balanced(scenes):
    infos = {layout: describe('scenes', scenes, layout) for layout in ('image_folder', 'ade', 'coco')}
    assert all((info.num_train, info.num_val) == (12, 6) for info in infos.values())
    assert infos['image_folder'].classes == infos['coco'].classes == NAMES
    assert infos['ade'].classes == ('background', *NAMES) and infos['ade'].extra['reduce_zero_label'] is False
    assert {c: len(list((scenes / 'train' / c).iterdir())) for c in NAMES} == dict.fromkeys(NAMES, 2)


def test_pictures_are_jpeg_of_several_qualities_and_annotations_single_channel(scenes):
    pictures = [Image.open(path) for path in sorted((scenes / 'images/train').iterdir())]
    assert {(p.format, p.mode, p.size) for p in pictures} == {('JPEG', 'RGB', (64, 64))}
    assert len({tuple(p.quantization[0]) for p in pictures}) > 3
    assert {Image.open(path).mode for path in (scenes / 'annotations/train').iterdir()} == {'L'}


def test_colour_alone_does_not_settle_a_class_and_objects_are_many_overlapping_and_not_tiny():
    """Nearest mean colour, learnt on half of the objects, errs on one in ten of the others or more."""
    colours, labels, counts, touching = [], [], [], 0
    for i in range(120):
        scene = draw_scene(np.random.default_rng([9, i]), 64, i % len(NAMES))
        counts.append(len(scene.classes))
        sides = (scene.owner[:, 1:], scene.owner[:, :-1])
        touching += bool(((sides[0] != sides[1]) & (sides[0] >= 0) & (sides[1] >= 0)).any())
        for number, label in enumerate(scene.classes):
            mask = scene.owner == number
            assert mask.sum() >= 200 / 4  # 200 pixels of a 128-pixel picture
            colours.append(scene.image[mask].mean(0))
            labels.append(label)
    colours, labels = np.array(colours), np.array(labels)
    colours /= colours.sum(1, keepdims=True)  # tint without brightness: what tells most
    half = len(labels) // 2
    means = np.stack([colours[:half][labels[:half] == c].mean(0) for c in range(len(NAMES))])
    guesses = np.linalg.norm(colours[half:, None] - means, axis=2).argmin(1)
    assert (guesses == labels[half:]).mean() < 0.9
    assert set(counts) == {2, 3, 4} and touching > 40
    assert np.bincount(labels, minlength=len(NAMES)).min() > 0.6 * len(labels) / len(NAMES)


def test_outlines_are_signed_distances():
    def at(name, x, y):
        return float(SHAPES[name](np.array([x], np.float32), np.array([y], np.float32))[0])

    assert at('disc', 2, 0) == pytest.approx(1.1)
    assert at('ring', 0, 0) == pytest.approx(0.51) and at('ring', 0, -0.78) == pytest.approx(-0.27)
    assert at('square', 0, 0) == pytest.approx(-0.78) and at('square', 3.78, 4.78) == pytest.approx(5)
    assert at('cross', 0.7, 0.7) == pytest.approx(0.37) and at('cross', 1, 0) < 0 and at('cross', 0, -1) < 0
    assert at('triangle', 0, 0) == pytest.approx(-0.6) and at('triangle', 0, -1.7) == pytest.approx(0.5)
    assert at('star', 0, -1.1) < 0 < at('star', 0, 1.1)  # a tip above, a notch below


def test_a_folder_drawn_with_the_same_numbers_is_kept(scenes):
    picture = scenes / 'images/train/00001.jpg'
    before = picture.stat().st_mtime_ns
    assert make_scenes(scenes, seed=3, **SMALL, progress=lambda *_: pytest.fail('drawn again')) == scenes
    assert picture.stat().st_mtime_ns == before


def test_a_folder_drawn_with_other_numbers_is_refused_and_named(scenes):
    with pytest.raises(DataError, match=r'small holds scenes drawn with seed=3 instead of 5: give another folder'):
        make_scenes(scenes, seed=5, **SMALL)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / 'thesis.tex').write_text('x')
    with pytest.raises(DataError, match='exists and holds no scenes: give a folder that does not exist yet'):
        make_scenes(tmp_path, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.tex']


def test_an_interrupted_drawing_leaves_nothing_behind(tmp_path):
    def stop(done, total):
        assert total == 18
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_scenes(tmp_path / 'scenes', **SMALL, progress=stop)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / 'new').mkdir()
    assert (make_scenes(tmp_path / 'new', **SMALL) / 'meta.json').is_file()


@pytest.mark.parametrize(
    'numbers, message',
    [
        (dict(num_train=5), 'at least 6 pictures in each split'),
        (dict(num_val=0), 'raise num_train=600 or num_val=0'),
        (dict(size=32), 'size >= 64'),
        (dict(seed=-1), 'seed=-1'),
    ],
)
def test_numbers_that_make_no_data_set_are_refused(tmp_path, numbers, message):
    with pytest.raises(DataError, match=message):
        make_scenes(tmp_path / 'scenes', **numbers)
