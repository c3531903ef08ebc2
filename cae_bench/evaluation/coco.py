"""COCO AP of boxes and masks: pycocotools' numbers, by hotcoco, from the data set's own annotation file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger

from ..errors import DataError
from ..registry import METRICS
from ..statistics.average_precision import average_precision
from ..statistics.bootstrap import draws, interval
from ..statistics.matches import Matches
from ..statistics.per_image import Detections
from .coco_backend import backend as named_backend
from .coco_backend import load_detections, tide
from .coco_matches import collect
from .score_report import ReportingMetric, ScoreReport, class_names

SIZES = ('', '_s', '_m', '_l')  # all, small (< 32 x 32 pixels), medium, large (> 96 x 96)


@METRICS.register_module()
class CocoAP(ReportingMetric):
    """`bbox_mAP`, `_mAP_50`, `_mAP_75`, `_mAP_s`, `_mAP_m`, `_mAP_l` and the same of `segm`, in percent.

    A size without objects is left out. Images count that were evaluated; classes are found in the file by name.

    The report has intervals over images drawn with replacement, `per_class` ('bbox' -> class name -> AP) and, of hotcoco,
    `details` ('errors' -> 'bbox' -> what kinds of errors cost, see `tide`).

    Args:
        ann_file: instances_*.json, relative to `data_root`.
        kinds: 'bbox', 'segm' or both.
        backend: 'hotcoco' or 'pycocotools'; the scores are the same, the latter is slow and has no `details`.
        resamples: draws for `ci95`; fewer are made where there are very many detections. 0 for none.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        kinds: tuple[str, ...] = ('bbox', 'segm'),
        resamples: int = 1000,
        backend: str = 'hotcoco',
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.backend = named_backend(backend)
        self.ann_file = os.path.join(data_root or '', ann_file)
        self.kinds = tuple(kinds)
        self.resamples = resamples

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            found = sample['pred_instances']
            boxes = found['bboxes'].cpu().double().numpy()
            self.results.append(
                dict(
                    image=int(sample['img_id']),
                    boxes=np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1),
                    scores=found['scores'].cpu().double().numpy(),
                    labels=found['labels'].cpu().numpy(),
                    masks=self._encode(found['masks']) if 'segm' in self.kinds else None,
                )
            )

    def _encode(self, masks: torch.Tensor) -> list[dict]:
        """(N, H, W) masks as run lengths."""
        columns = np.asfortranarray(masks.permute(1, 2, 0).cpu().numpy().astype(np.uint8, copy=False))
        return self.backend.mask.encode(columns) if len(masks) else []

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        truth = self._truth()
        images = sorted({result['image'] for result in results})
        categories = self._categories(truth)
        names = {image['id']: image['file_name'] for image in truth.loadImgs(images)}
        values, ci95, per_class, errors, matches = {}, {}, {}, {}, {}
        for kind in self.kinds:
            evaluator = self.backend.COCOeval(truth, self._detections(truth, results, categories, kind), kind)
            evaluator.params.imgIds, evaluator.params.catIds = images, categories
            evaluator.evaluate()
            evaluator.accumulate()
            precision = evaluator.eval['precision'][..., -1]
            per_class[kind] = self._per_class(kind, precision)
            values |= self._summary(kind, precision)
            if costs := tide(evaluator):
                errors[kind] = costs
            matches[kind] = collect(evaluator, images, categories)
            if self.resamples:
                ci95 |= self._intervals(kind, matches[kind])
        self.report = ScoreReport(
            values,
            ci95,
            per_image=Detections([names[image] for image in images], matches),
            per_class=per_class,
            details={'errors': errors} if errors else None,
        )
        return values

    def _truth(self) -> Any:
        if not Path(self.ann_file).is_file():
            raise DataError(f"{self.ann_file}: no such annotation file; CocoAP needs the validation split's instances")
        return self.backend.COCO(self.ann_file)

    def _categories(self, truth: Any) -> list[int]:
        """Category ids in the order of the model's labels."""
        ids = {entry['name']: number for number, entry in truth.cats.items()}
        absent = [name for name in class_names(self) if name not in ids]
        if absent:
            raise DataError(f'{self.ann_file}: no category named {", ".join(absent)}; it has {", ".join(ids)}')
        return [ids[name] for name in class_names(self)]

    def _detections(self, truth: Any, results: list[dict], categories: list[int], kind: str) -> Any:
        found = []
        for result in results:
            shapes = result['masks'] if kind == 'segm' else result['boxes'].tolist()
            word = 'segmentation' if kind == 'segm' else 'bbox'  # without a box, a mask's size is its own area
            for shape, score, label in zip(shapes, result['scores'].tolist(), result['labels'].tolist()):
                entry = dict(image_id=result['image'], category_id=categories[label], score=score)
                found.append(entry | {word: shape})
        return load_detections(truth, found)

    def _per_class(self, kind: str, precision: np.ndarray) -> dict[str, float]:
        """AP by class name. precision: (IoU, recall, class, size), -1 where there is nothing to find."""
        per_class = {name: _mean(precision[:, :, c, 0]) for c, name in enumerate(class_names(self))}
        MMLogger.get_current_instance().info(
            f'{kind} AP by class: ' + ', '.join(f'{name} {value:.1f}' for name, value in per_class.items())
        )
        return per_class

    def _summary(self, kind: str, precision: np.ndarray) -> dict[str, float]:
        """AP by metric. precision: (IoU, recall, class, size), -1 where there is nothing to find."""
        values = {f'{kind}_mAP{size}': _mean(precision[..., s]) for s, size in enumerate(SIZES)}
        values |= {f'{kind}_mAP_50': _mean(precision[0, ..., 0]), f'{kind}_mAP_75': _mean(precision[5, ..., 0])}
        if np.isnan(values[f'{kind}_mAP']):
            raise DataError(f'{self.ann_file}: no object in the images evaluated, so there is no AP; check the file')
        return {name: value for name, value in values.items() if not np.isnan(value)}

    def _intervals(self, kind: str, matches: Matches) -> dict[str, tuple[float, float]]:
        # About 1.5e9 counts at most: 1,000 draws of a small validation set, 300 of COCO's 5,000 images.
        fitting = int(1.5e9 / (1 + matches.hit.size))
        weights = draws(len(matches.truth), min(self.resamples, max(100, fitting)))
        drawn = np.concatenate([average_precision(matches, part) for part in np.array_split(weights, 20)])
        aps = {'mAP': drawn, 'mAP_50': drawn[..., :1], 'mAP_75': drawn[..., 5:6]}  # (draws, classes, IoU)
        return {f'{kind}_{name}': interval(np.nanmean(values, axis=(1, 2))) for name, values in aps.items()}


def _mean(precision: np.ndarray) -> float:
    known = precision[precision > -1]
    return 100 * float(known.mean()) if known.size else float('nan')
