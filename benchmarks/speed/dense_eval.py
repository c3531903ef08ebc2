"""The evaluation half of dense.py: COCO AP, mIoU, and the memory of predicting a large image."""

import contextlib
import io
import json
import tempfile
import time
from pathlib import Path

import hotcoco
import numpy as np
import torch
from pycocotools import coco, cocoeval
from pycocotools import mask as rle

from cae_bench.evaluation.miou import MeanIoU
from cae_bench.models.segmentor import largest

HEIGHT, WIDTH, CLASSES = 480, 640, 80
EVALUATORS = {'hotcoco': (hotcoco.COCO, hotcoco.COCOeval), 'pycocotools': (coco.COCO, cocoeval.COCOeval)}


def measure_coco(images: int, rounds: int) -> dict:
    """evaluate + accumulate + summarize of both packages on the same files; reading the files is timed apart."""
    truth, found = synthetic(images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'truth.json')
        path.write_text(json.dumps(truth))
        result = dict(images=images, objects=len(truth['annotations']), detections=len(found['bbox']))
        for kind, entries in found.items():
            runs = {name: [_evaluate(name, str(path), entries, kind) for _ in range(rounds)] for name in EVALUATORS}
            gap = max(abs(a - b) for a, b in zip(runs['hotcoco'][0]['stats'], runs['pycocotools'][0]['stats']))
            if gap > 1e-12:
                raise SystemExit(f'{kind}: statistics differ by {gap}; nothing to compare')
            seconds = {
                f'{what} {name}': min(run[what] for run in runs[name])
                for what in ('evaluate', 'read')
                for name in EVALUATORS
            }
            result[kind] = dict(
                seconds=seconds,
                largest_difference=gap,
                ap=100 * runs['hotcoco'][0]['stats'][0],
                ratio=seconds['evaluate pycocotools'] / seconds['evaluate hotcoco'],
            )
    both = [sum(result[kind]['seconds'][f'evaluate {name}'] for kind in found) for name in EVALUATORS]
    return result | dict(ratio=both[1] / both[0])


def _evaluate(name: str, path: str, entries: list[dict], kind: str) -> dict:
    data, evaluation = EVALUATORS[name]
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        truth = data(path)
        evaluator = evaluation(truth, truth.loadRes([dict(entry) for entry in entries]), kind)
        read = time.perf_counter()
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
        done = time.perf_counter()
    return dict(read=read - start, evaluate=done - read, stats=list(evaluator.stats))


def synthetic(images: int) -> tuple[dict, dict[str, list[dict]]]:
    """Ellipses of 80 classes, seven an image on average, with some fifty detections of mixed quality."""
    rng = np.random.default_rng(0)
    annotations, boxes, masks = [], [], []
    for image in range(1, images + 1):
        for _ in range(1 + rng.poisson(6)):
            size = np.exp(rng.uniform(np.log(10), np.log(300), 2))
            corner = rng.uniform(0, np.maximum(1, (WIDTH, HEIGHT) - size))
            category = int(rng.integers(1, CLASSES + 1))
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=category,
                    iscrowd=0,
                    bbox=[*corner.tolist(), *size.tolist()],
                    area=float(np.pi / 4 * size.prod()),
                    segmentation=[_ellipse(corner, size)],
                )
            )
            for _ in range(int(rng.integers(4, 12))):
                wrong = rng.random() < 0.3
                entry = dict(
                    image_id=image,
                    category_id=int(rng.integers(1, CLASSES + 1)) if wrong else category,
                    score=float(rng.random()),
                )
                place, extent = corner + rng.normal(0, 0.1, 2) * size, size * np.exp(rng.normal(0, 0.15, 2))
                boxes.append(entry | dict(bbox=[*place.tolist(), *extent.tolist()]))
                masks.append(entry | dict(segmentation=rle.frPyObjects([_ellipse(place, extent)], HEIGHT, WIDTH)[0]))
    truth = dict(
        images=[dict(id=i, height=HEIGHT, width=WIDTH, file_name=f'{i}.jpg') for i in range(1, images + 1)],
        annotations=annotations,
        categories=[dict(id=c, name=str(c)) for c in range(1, CLASSES + 1)],
    )
    return truth, dict(bbox=boxes, segm=masks)


def _ellipse(corner: np.ndarray, size: np.ndarray) -> list[float]:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return (corner + size / 2 * (1 + np.stack([np.cos(angle), np.sin(angle)], 1))).ravel().tolist()


def measure_miou(images: int, rounds: int, device: torch.device, take_turns) -> dict:
    """`process` of both metrics on images of 512 x 683 and 150 classes, as ADE20K has them."""
    from mmseg.evaluation.metrics import IoUMetric

    torch.manual_seed(0)
    samples = [_labelled(device) for _ in range(images)]
    metrics = dict(here=MeanIoU(resamples=0), mmseg=IoUMetric())

    def counting(metric):
        def count():
            metric.results.clear()
            for sample in samples:
                metric.process({}, [sample])

        return count

    for metric in metrics.values():
        metric.dataset_meta = dict(classes=tuple(map(str, range(150))))
    seconds = take_turns({name: counting(metric) for name, metric in metrics.items()}, rounds, device)
    for (_, ours), theirs in zip(metrics['here'].results, metrics['mmseg'].results):
        if not np.array_equal(ours, torch.stack([theirs[0], theirs[1], theirs[3]]).numpy()):
            raise SystemExit("counts differ from mmseg's; nothing to compare")
    return dict(
        ms_an_image={name: 1000 * s / images for name, s in seconds.items()}, ratio=seconds['mmseg'] / seconds['here']
    )


def _labelled(device: torch.device) -> dict:
    coarse = torch.randint(0, 150, (1, 16, 22)).repeat_interleave(32, 1).repeat_interleave(32, 2)
    label = coarse[:, :512, :683].clone()
    prediction = torch.where(torch.rand(label.shape) < 0.7, label, torch.randint(0, 150, label.shape))
    label[torch.rand(label.shape) < 0.05] = 255
    return dict(pred_sem_seg=dict(data=prediction.to(device)), gt_sem_seg=dict(data=label.to(device)), img_path='')


def argmax(how: str, size: tuple[int, int], classes: int, device: torch.device) -> torch.Tensor:
    """From the logits of a network's input with a short side of 512 to the classes of the whole image."""
    short = 512 / min(size)
    logits = torch.randn(classes, *(round(side * short) for side in size), device=device)
    if how == 'here':
        return largest(logits, size)
    return torch.nn.functional.interpolate(logits[None], size, mode='bilinear', align_corners=False)[0].argmax(0)
