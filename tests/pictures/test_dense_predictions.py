"""Pictures of dense predictions: panels of one size, colours where they belong, labels that hide no other."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

from cae_bench.pictures import dense_predictions as dense_pictures
from cae_bench.pictures import drawing
from cae_bench.pictures.dense_predictions import DetectionPictures, SegmentationPictures, draw_segmentation
from cae_bench.pictures.objects import DrawnObject, draw_detection

CLASSES = ['sky', 'road', 'car', 'tree']


def grey(width=64, height=48):
    return drawing.zoomed(Image.new('RGB', (width, height), (128, 128, 128)))


def has(image, tint):
    return (np.asarray(image) == np.array(tint)).all(-1).any()


def test_the_legend_names_what_truth_or_prediction_hold_and_void(monkeypatch):
    seen = {}
    monkeypatch.setattr(drawing, 'sheet', lambda panels, legend, caption: seen.update(panels=panels, legend=legend))
    truth, found = np.full((48, 64), 1), np.full((48, 64), 1)
    truth[:4], found[:20] = 255, 3
    draw_segmentation(grey(), truth, found, CLASSES, 'a.jpg')
    assert [name for name, _ in seen['legend']] == ['road', 'tree', 'void, not scored']
    assert {panel.size for panel in seen['panels']} == {(512, 384)}  # a small image is enlarged
    _, labelled, predicted = (np.asarray(panel) for panel in seen['panels'])
    assert set(map(tuple, labelled[:20].reshape(-1, 3))) == {drawing.VOID, drawing.STRIPE}
    mixed = [round(0.4 * 128 + 0.6 * part) for part in drawing.colour(1)]
    assert labelled[300, 300].tolist() == predicted[300, 300].tolist() == mixed


def test_colours_of_150_classes_differ_and_those_of_neighbours_differ_much():
    colours = np.array([drawing.colour(i) for i in range(150)], int)
    assert len({tuple(c) for c in colours}) == 150
    assert np.abs(np.diff(colours, axis=0)).sum(1).min() > 100


def test_texts_of_boxes_hide_no_other_text_and_stay_inside_the_panel(monkeypatch):
    placed, draw = [], drawing.ImageDraw.ImageDraw.rectangle
    monkeypatch.setattr(
        drawing.ImageDraw.ImageDraw,
        'rectangle',
        lambda self, box, **how: (placed.append(box) if 'fill' in how else None, draw(self, box, **how))[1],
    )
    boxes = [(200 + 4 * i, 100 + 3 * i, 260 + 4 * i, 160 + 3 * i) for i in range(12)] + [(490, 0, 511, 10)]
    drawing.outline(grey(), boxes, [drawing.colour(0)] * 13, [f'pedestrian 0.{i}' for i in range(13)])
    assert 6 <= len(placed) < 13
    for i, a in enumerate(placed):
        assert a[0] >= 0 and a[2] <= 512 and a[1] >= 0 and a[3] <= 384
        assert not any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in placed[:i])


def test_boxes_and_masks_are_in_the_colour_of_their_class_and_a_crowd_is_hatched():
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:40] = True
    truth = [DrawnObject((20, 10, 40, 30), 2, mask), DrawnObject((0, 40, 10, 48), None, mask.T[:48])]
    picture = draw_detection(grey(), (48, 64), truth, [], CLASSES, 'a.jpg', 'best score 0.12')
    assert picture.width == 3 * 512 + 4 * drawing.GAP
    assert has(picture, drawing.colour(2)) and not has(picture, drawing.colour(1))
    right = picture.crop((2 * 512 + 3 * drawing.GAP, 40, picture.width, 400))
    assert has(right, drawing.PAPER) and not has(right, drawing.colour(2))  # the note, and nothing found


@pytest.mark.parametrize(
    'scores, drawn',
    [
        ([0.1, 0.9, 0.6, 0.2], [0.9, 0.6]),
        ([0.1, 0.4, 0.3, 0.2], [0.4, 0.3, 0.2]),
        ([], []),
    ],
)
def test_the_best_three_are_drawn_where_no_detection_has_the_threshold(scores, drawn):
    found = InstanceData(
        scores=torch.tensor(scores),
        labels=torch.zeros(len(scores), dtype=torch.long),
        bboxes=torch.rand(len(scores), 4),
    )
    assert [round(one.score, 1) for one in DetectionPictures()._best(found)] == drawn


@pytest.mark.parametrize('shape', ['polygon', 'counts', 'text'])
def test_a_mask_is_read_from_every_form_an_annotation_has(shape):
    from hotcoco import mask as rle

    plain = np.zeros((48, 64), np.uint8)
    plain[10:30, 20:40] = 1
    forms = dict(
        polygon=[[20, 10, 40, 10, 40, 30, 20, 30]],
        text=rle.encode(np.asfortranarray(plain)),
        counts=dict(size=[48, 64], counts=[20 * 48 + 10] + [20, 28] * 19 + [20, 18 + 24 * 48]),
    )
    assert (dense_pictures._decode(forms[shape], 48, 64)[10:30, 20:40] == 1).all()
    assert dense_pictures._decode(forms[shape], 48, 64).sum() == 400


def ade_runner(folder, images=9):
    for i in range(images):
        Image.fromarray(np.full((20, 30, 3), 20 * i, np.uint8)).save(folder / f'{i}.png')

    class Data(list):
        metainfo = dict(classes=CLASSES)
        get_data_info = list.__getitem__

    data = Data(dict(img_path=str(folder / f'{i}.png')) for i in range(images))
    return SimpleNamespace(val_dataloader=SimpleNamespace(dataset=data), work_dir=str(folder / 'work'))


def validate(hook, runner, label):
    hook.before_val_epoch(runner)
    for info in runner.val_dataloader.dataset:
        maps = SimpleNamespace(data=torch.full((1, 20, 30), label))
        hook.after_val_iter(
            runner,
            0,
            None,
            [
                SimpleNamespace(
                    img_path=info['img_path'],
                    gt_sem_seg=maps,
                    pred_sem_seg=maps,
                    ori_shape=(20, 30),
                    pred_instances=None,
                )
            ],
        )
    hook.after_val_epoch(runner)


def test_the_same_images_spread_over_the_set_are_drawn_after_every_validation(tmp_path):
    runner, hook = ade_runner(tmp_path), SegmentationPictures(number=3)
    validate(hook, runner, 1)
    names = [f'pictures/{n}.png' for n in ('1-0', '2-4', '3-8')]
    assert ['/'.join(path.split('/')[-2:]) for path in hook.pictures] == names
    first = Image.open(hook.pictures[1]).tobytes()
    validate(hook, runner, 2)
    assert len(hook.pictures) == 3 and Image.open(hook.pictures[1]).tobytes() != first


def test_an_error_while_drawing_is_logged_and_costs_nothing_else(tmp_path):
    runner, hook = ade_runner(tmp_path), DetectionPictures(number=3)
    validate(hook, runner, 1)  # predictions without boxes
    assert hook.pictures == []
    runner.val_dataloader.dataset = None
    hook.before_val_epoch(runner)
    hook.after_val_epoch(runner)


def test_no_pictures_if_none_are_wanted(tmp_path):
    runner, hook = ade_runner(tmp_path), SegmentationPictures(number=0)
    validate(hook, runner, 1)
    assert hook.pictures == [] and not (tmp_path / 'work').exists()


def test_candidates_lie_around_evenly_spread_places_and_none_serves_twice():
    assert dense_pictures.around_places(9, 3, 1) == [[0], [4], [8]]
    assert dense_pictures.around_places(9, 3, 3) == [[0, 1, 2], [4, 3, 5], [8, 7]]
    assert dense_pictures.around_places(2, 6, 16) == [[0], [1]] and dense_pictures.around_places(9, 0, 4) == []


def detected(hook, runner, scores, objects=None):
    """A validation in which image i has one detection of score scores[i] and, unless 0, objects[i] objects."""
    hook.before_val_epoch(runner)
    for i, (info, score) in enumerate(zip(runner.val_dataloader.dataset, scores)):
        one = dict(bbox=(2, 2, 9, 9), bbox_label=1, ignore_flag=0)
        info['instances'] = [one] * (objects[i] if objects else 1)
        found = InstanceData(
            scores=torch.tensor([score]), bboxes=torch.tensor([[3.0, 3.0, 9.0, 9.0]]), labels=torch.tensor([2])
        )
        hook.after_val_iter(
            runner, 0, None, [SimpleNamespace(img_path=info['img_path'], ori_shape=(20, 30), pred_instances=found)]
        )
    hook.after_val_epoch(runner)
    return [path.split('/')[-1] for path in hook.pictures]


def test_images_with_objects_and_detections_are_drawn_rather_than_those_with_none(tmp_path):
    runner, hook = ade_runner(tmp_path), DetectionPictures(number=3)
    assert detected(hook, runner, [0.2, 0.2, 0.9, 0.2, 0.1, 0.8, 0.7, 0.2, 0.2]) == ['1-2.png', '2-5.png', '3-8.png']
    assert detected(hook, runner, [0.9] * 9) == ['1-0.png', '2-4.png', '3-8.png']  # the nearest of equals
    assert sorted(p.name for p in (tmp_path / 'work/pictures').iterdir()) == ['1-0.png', '2-4.png', '3-8.png']
    assert detected(hook, runner, [0.9] * 9, [0, 1, 1, 1, 0, 0, 1, 0, 0])[:2] == ['1-1.png', '2-3.png']
