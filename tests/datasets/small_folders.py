"""The parts of small data folders, and how tests of them are written."""

import json

import pytest
from PIL import Image

from cae_bench.datasets.describe import describe
from cae_bench.errors import DataError

META = dict(classes=['road', 'sky'], reduce_zero_label=True)


def picture(path, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB' if path.suffix != '.png' else 'L', size).save(path)


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


def refused(root, layout, message, name='mine'):
    with pytest.raises(DataError, match=message) as caught:
        describe(name, root, layout)
    assert str(caught.value).count('\n') < 2  # one or two lines


def edit(root, change, split='train'):
    path = root / f'annotations/instances_{split}.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
