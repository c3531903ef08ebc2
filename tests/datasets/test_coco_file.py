"""A COCO file that would fail, or be scored wrongly, is refused with the entry that is wrong."""

import pytest
from small_folders import edit, refused


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
