"""A sound small folder in each layout."""

import json

import pytest
from small_folders import META, objects, picture


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


@pytest.fixture
def coco(tmp_path):
    root = tmp_path / 'cars'
    for split, count in (('train', 3), ('val', 2)):
        for i in range(count):
            picture(root / f'images/{split}/{split}{i}.jpg')
        (root / 'annotations').mkdir(exist_ok=True)
        (root / f'annotations/instances_{split}.json').write_text(json.dumps(objects(split, count)))
    return root
