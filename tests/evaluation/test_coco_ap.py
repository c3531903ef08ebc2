"""CocoAP: a hand-worked case, pycocotools' statistics to 1e-12, and what it keeps for paired tests."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cae_bench.errors import ConfigError, DataError
from cae_bench.evaluation.coco import CocoAP

NAMES = ('', '_50', '_75', '_s', '_m', '_l')


def box_mask(x, y, w, h, height=200, width=240):
    mask = np.zeros((height, width), np.uint8)
    mask[int(y) : int(y + h), int(x) : int(x + w)] = 1
    return mask


def annotation_file(folder, objects, num_images, categories=((3, 'cat'), (5, 'dog'))):
    """objects: (image id, category id, x, y, w, h, crowd)."""
    annotations = []
    for number, (image, category, x, y, w, h, crowd) in enumerate(objects, 1):
        rle = coco_mask.encode(np.asfortranarray(box_mask(x, y, w, h)))
        rle['counts'] = rle['counts'].decode()
        annotations.append(
            dict(
                id=number,
                image_id=image,
                category_id=category,
                bbox=[x, y, w, h],
                area=w * h,
                iscrowd=crowd,
                segmentation=rle,
            )
        )
    images = [dict(id=i + 10, file_name=f'{i}.jpg', height=200, width=240) for i in range(num_images)]
    path = folder / 'instances_val.json'
    path.write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=[dict(id=i, name=n) for i, n in categories]))
    )
    return path


def predicted(image, detections):
    """detections: (label, x, y, w, h, score)."""
    boxes = torch.tensor([[x, y, x + w, y + h] for _, x, y, w, h, _ in detections]).float().reshape(-1, 4)
    masks = [torch.from_numpy(box_mask(x, y, w, h)).bool() for _, x, y, w, h, _ in detections]
    return dict(
        img_id=image,
        pred_instances=dict(
            bboxes=boxes,
            scores=torch.tensor([d[5] for d in detections]).float(),
            labels=torch.tensor([d[0] for d in detections]).long(),
            masks=torch.stack(masks) if masks else torch.zeros(0, 200, 240, dtype=torch.bool),
        ),
    )


def evaluate(path, samples, classes=('cat', 'dog'), resamples=0, **options):
    metric = CocoAP(path.name, str(path.parent), resamples=resamples, **options)
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, samples)
    return metric.evaluate(size=len(samples)), metric


@pytest.fixture
def worked(tmp_path):
    """A cat in each of two images, one found with IoU 0.9, the other with IoU 1/3; no dogs anywhere."""
    path = annotation_file(tmp_path, [(10, 3, 0, 0, 100, 100, 0), (11, 3, 0, 0, 100, 100, 0)], 2)
    return path, [predicted(10, [(0, 0, 0, 100, 90, 0.9)]), predicted(11, [(0, 50, 0, 100, 100, 0.8)])]


def test_ap_of_one_hit_and_one_miss_is_51_of_101_recalls(worked):
    scores, metric = evaluate(*worked)
    half = 100 * 51 / 101  # precision 1 up to recall 0.5, nothing beyond
    assert scores['bbox_mAP_50'] == scores['bbox_mAP_75'] == pytest.approx(half, abs=1e-12)
    assert scores['segm_mAP'] == pytest.approx(half * 9 / 10, abs=1e-12)  # IoU 0.9 reaches nine thresholds of ten
    assert scores['bbox_mAP_l'] == scores['bbox_mAP'] and 'bbox_mAP_s' not in scores  # no small object there is
    assert metric.report.per_class['bbox']['cat'] == pytest.approx(half * 0.9) and np.isnan(
        metric.report.per_class['bbox']['dog']
    )


def test_matches_of_each_image_are_kept(worked):
    columns = evaluate(*worked)[1].report.per_image.pack()
    assert columns['image'] == ['0.jpg', '1.jpg']
    assert columns['bbox_truth'] == [[1, 0], [1, 0]] and columns['bbox_label'] == [[0], [0]]
    assert columns['bbox_hit'] == [[0b0111111111], [0]] and columns['bbox_ignored'] == [[0], [0]]
    assert columns['segm_score'] == [[pytest.approx(0.9)], [pytest.approx(0.8)]]


def random_case(folder, num_images=12):
    generator = np.random.default_rng(3)
    objects, samples = [], []
    for image in range(10, 10 + num_images):
        detections = []
        for _ in range(generator.integers(0, 7)):
            x, y = generator.integers(0, 80, 2)
            w, h = generator.integers(6, 40, 2) if generator.random() < 0.4 else generator.integers(40, 120, 2)
            label = generator.integers(0, 2)
            objects.append((image, (3, 5)[label], int(x), int(y), int(w), int(h), int(generator.random() < 0.1)))
            for _ in range(generator.integers(0, 4)):
                dx, dy, dw, dh = generator.integers(-5, 6, 4)
                detections.append(
                    (
                        label if generator.random() < 0.8 else 1 - label,
                        max(0, int(x + dx)),
                        max(0, int(y + dy)),
                        max(2, int(w + dw)),
                        max(2, int(h + dh)),
                        round(float(generator.random()), 1),
                    )
                )  # rounded: equal scores occur
        samples.append(predicted(image, detections))
    return annotation_file(folder, objects, num_images), samples


def pycocotools_stats(path, samples, kind):
    found = []
    for one in samples:
        instances = one['pred_instances']
        for box, score, label, mask in zip(*(instances[k] for k in ('bboxes', 'scores', 'labels', 'masks'))):
            entry = dict(image_id=one['img_id'], category_id=(3, 5)[label], score=float(score))
            if kind == 'bbox':
                x1, y1, x2, y2 = box.tolist()
                entry['bbox'] = [x1, y1, x2 - x1, y2 - y1]
            else:
                entry['segmentation'] = coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
            found.append(entry)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        evaluator = COCOeval(truth, truth.loadRes(found), kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return {f'{kind}_mAP{name}': 100 * value for name, value in zip(NAMES, evaluator.stats[:6])}


def test_boxes_and_masks_score_as_in_pycocotools(tmp_path):
    path, samples = random_case(tmp_path)
    scores, _ = evaluate(path, samples)
    expected = pycocotools_stats(path, samples, 'bbox') | pycocotools_stats(path, samples, 'segm')
    assert set(scores) == set(expected) and 5 < scores['bbox_mAP'] < 95
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, abs=1e-10, rel=1e-12), name


def test_ap_can_be_computed_again_from_the_matches_that_are_kept(tmp_path, monkeypatch):
    from cae_bench.evaluation import coco_matches as module
    from cae_bench.statistics.average_precision import average_precision
    from cae_bench.statistics.per_image import Detections

    path, samples = random_case(tmp_path)
    monkeypatch.setattr(module, 'IMAGES_AT_ONCE', 5)  # parts must join seamlessly
    scores, metric = evaluate(path, samples, resamples=50)
    for kind in ('bbox', 'segm'):
        again = average_precision(Detections.unpack(metric.report.per_image.pack()).matches[kind])
        assert again.mean() == pytest.approx(scores[f'{kind}_mAP'], abs=1e-10)
        assert again[..., 0].mean() == pytest.approx(scores[f'{kind}_mAP_50'], abs=1e-10)
        low, high = metric.report.ci95[f'{kind}_mAP']
        assert low < scores[f'{kind}_mAP'] < high


def test_an_image_drawn_twice_counts_as_two_images(tmp_path):
    objects = [(10, 3, 0, 0, 50, 50, 0), (11, 3, 0, 0, 50, 50, 0), (12, 3, 0, 0, 50, 50, 0)]
    found = [
        predicted(10, [(0, 0, 0, 50, 50, 0.9)]),
        predicted(11, [(0, 90, 90, 50, 50, 0.8)]),
        predicted(12, [(0, 0, 0, 50, 50, 0.7)]),
    ]
    scores, _ = evaluate(annotation_file(tmp_path, objects, 3), found)
    # precision 1 to recall 1/3 (34 of 101 recalls), then 2/3 to recall 2/3 (33 more)
    assert scores['bbox_mAP'] == pytest.approx(100 * (34 + 33 * 2 / 3) / 101)
    from cae_bench.statistics.average_precision import average_precision
    from cae_bench.statistics.matches import Matches

    hit = np.array([[1], [0], [1]], bool).repeat(10, 1)
    matches = Matches(
        np.arange(3), np.zeros(3, int), np.array([0.9, 0.8, 0.7]), hit, np.zeros_like(hit), np.ones((3, 1))
    )
    drawn = average_precision(matches, np.array([[1, 1, 1], [2, 1, 0], [0, 3, 0]], np.float32))[:, 0, 0]
    # twice the first, once the second: precision 1 up to recall 2/3, then no more
    assert drawn == pytest.approx([scores['bbox_mAP'], 100 * 67 / 101, 0])


def test_only_the_images_evaluated_count(worked):
    path, samples = worked
    scores, metric = evaluate(path, samples[:1])
    assert scores['bbox_mAP_50'] == pytest.approx(100) and metric.report.per_image.images == ['0.jpg']


def test_finding_nothing_scores_zero(worked):
    scores, metric = evaluate(worked[0], [predicted(10, []), predicted(11, [])], resamples=20)
    assert scores['bbox_mAP'] == scores['segm_mAP'] == 0 and metric.report.ci95['bbox_mAP'] == (0, 0)
    assert metric.report.per_image.pack()['bbox_score'] == [[], []]


def test_classes_are_found_in_the_file_by_name_in_the_model_s_order(tmp_path):
    path = annotation_file(tmp_path, [(10, 3, 0, 0, 50, 50, 0), (10, 5, 60, 60, 50, 50, 0)], 1)
    sample = predicted(10, [(1, 0, 0, 50, 50, 0.9), (0, 60, 60, 50, 50, 0.9)])
    assert evaluate(path, [sample], classes=('dog', 'cat'))[0]['bbox_mAP'] == pytest.approx(100)
    with pytest.raises(DataError, match='no category named bird; it has cat, dog'):
        evaluate(path, [sample], classes=('cat', 'bird'))


def test_a_missing_file_and_a_file_without_objects_are_errors(tmp_path):
    with pytest.raises(DataError, match='absent.json: no such annotation file'):
        evaluate(tmp_path / 'absent.json', [predicted(10, [])])
    with pytest.raises(DataError, match='no object in the images evaluated'):
        evaluate(annotation_file(tmp_path, [], 1), [predicted(10, [])])


def test_pycocotools_can_do_it_too_with_the_same_scores_and_matches(tmp_path):
    path, samples = random_case(tmp_path)
    (ours, metric), (theirs, slow) = evaluate(path, samples), evaluate(path, samples, backend='pycocotools')
    assert ours.keys() == theirs.keys() and metric.report.per_image.pack() == slow.report.per_image.pack()
    assert all(ours[name] == pytest.approx(theirs[name], abs=1e-10, rel=1e-12) for name in ours)
    assert metric.report.details and not slow.report.details
    nothing = [predicted(sample['img_id'], []) for sample in samples]
    assert evaluate(path, nothing, backend='pycocotools')[0]['bbox_mAP'] == 0


def test_another_backend_and_one_that_is_not_installed_are_errors(monkeypatch):
    with pytest.raises(ConfigError, match='val_evaluator.backend=cocoapi: choose hotcoco or pycocotools'):
        CocoAP('x.json', backend='cocoapi')
    monkeypatch.setitem(__import__('sys').modules, 'pycocotools.cocoeval', None)
    with pytest.raises(ConfigError, match='pip install pycocotools, or --cfg-options val_evaluator.backend=hotcoco'):
        CocoAP('x.json', backend='pycocotools')


def test_errors_are_told_by_kind(tmp_path):
    path = annotation_file(tmp_path, [(10, 3, 0, 0, 100, 100, 0), (10, 3, 120, 0, 80, 80, 0)], 1)
    found = predicted(10, [(0, 0, 0, 100, 100, 0.9), (0, 0, 0, 100, 98, 0.8), (1, 120, 0, 80, 80, 0.7)])
    errors = evaluate(path, [found])[1].report.details['errors']
    for kind in ('bbox', 'segm'):
        assert errors[kind]['count'] == dict(Cls=1, Loc=0, Both=0, Dupe=1, Bkg=0, Miss=0)
        # recalls above 0.5 would be reached with precision 2/3: the duplicate comes first
        assert errors[kind]['cost']['Cls'] == pytest.approx(100 * 50 * (2 / 3) / 101)
        assert errors[kind]['cost']['Loc'] == 0
