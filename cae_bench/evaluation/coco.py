"""COCO AP of boxes and masks: pycocotools' numbers, by hotcoco, from the data set's own annotation file."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ..errors import DataError
from ..registry import METRICS
from ..statistics.average_precision import Matches, average_precision
from ..statistics.bootstrap import draws, interval
from ..statistics.matches import collect
from .coco_backend import backend as named_backend
from .coco_backend import load_detections, tide

SIZES = ('', '_s', '_m', '_l')  # all, small (< 32 x 32 pixels), medium, large (> 96 x 96)


@METRICS.register_module()
class CocoAP(BaseMetric):
    """`bbox_mAP`, `_mAP_50`, `_mAP_75`, `_mAP_s`, `_mAP_m`, `_mAP_l` and the same of `segm`, in percent.

    A size without objects is left out. Images count that were evaluated; classes are found in the file by name.

    After `evaluate()`: `per_class` ('bbox' -> class name -> AP), `details` ('errors' -> 'bbox', see `tide`), `ci95`
    (metric -> (low, high), images drawn with replacement), `per_image` (columns `image` and, for each kind,
    `<kind>_truth`: objects per class, and lists over the image's detections: `<kind>_score`, `<kind>_label`,
    `<kind>_hit`, `<kind>_ignored`. Bit t of the last two is for IoU threshold 0.5 + 0.05 t; AP can be computed again
    from them.

    Args:
        ann_file: instances_*.json, relative to `data_root`.
        kinds: 'bbox', 'segm' or both.
        backend: 'hotcoco' or 'pycocotools'; the scores are the same, the latter is slow and tells no `details`.
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
        self.per_class: dict[str, dict[str, float]] = {}
        self.details: dict[str, dict] = {}
        self.per_image: dict[str, list] = {}
        self.ci95: dict[str, tuple[float, float]] = {}

    def process(self, data_batch: dict, data_samples: list[dict]) -> None:
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

    def compute_metrics(self, results: list) -> dict[str, float]:
        truth = self._truth()
        images = sorted({result['image'] for result in results})
        categories = self._categories(truth)
        names = {image['id']: image['file_name'] for image in truth.loadImgs(images)}
        self.per_image = {'image': [names[image] for image in images]}
        metrics = {}
        for kind in self.kinds:
            evaluator = self.backend.COCOeval(truth, self._detections(truth, results, categories, kind), kind)
            evaluator.params.imgIds, evaluator.params.catIds = images, categories
            evaluator.evaluate()
            evaluator.accumulate()
            metrics |= self._summary(kind, evaluator.eval['precision'])
            if errors := tide(evaluator):
                self.details.setdefault('errors', {})[kind] = errors
            self._keep_matches(kind, collect(evaluator, images, categories))
        return metrics

    def _truth(self) -> Any:
        if not Path(self.ann_file).is_file():
            raise DataError(f"{self.ann_file}: no such annotation file; CocoAP needs the validation split's instances")
        return self.backend.COCO(self.ann_file)

    def _categories(self, truth: Any) -> list[int]:
        """Category ids in the order of the model's labels."""
        ids = {entry['name']: number for number, entry in truth.cats.items()}
        absent = [name for name in self.dataset_meta['classes'] if name not in ids]
        if absent:
            raise DataError(f'{self.ann_file}: no category named {", ".join(absent)}; it has {", ".join(ids)}')
        return [ids[name] for name in self.dataset_meta['classes']]

    def _detections(self, truth: Any, results: list[dict], categories: list[int], kind: str) -> Any:
        found = []
        for result in results:
            shapes = result['masks'] if kind == 'segm' else result['boxes'].tolist()
            word = 'segmentation' if kind == 'segm' else 'bbox'  # without a box, a mask's size is its own area
            for shape, score, label in zip(shapes, result['scores'].tolist(), result['labels'].tolist()):
                entry = dict(image_id=result['image'], category_id=categories[label], score=score)
                found.append(entry | {word: shape})
        return load_detections(truth, found)

    def _summary(self, kind: str, precision: np.ndarray) -> dict[str, float]:
        """`precision`: (IoU, recall, class, size, limit), -1 where there is nothing to find."""
        precision = precision[..., -1]
        per_class = {name: _mean(precision[:, :, c, 0]) for c, name in enumerate(self.dataset_meta['classes'])}
        self.per_class[kind] = per_class
        MMLogger.get_current_instance().info(
            f'{kind} AP by class: ' + ', '.join(f'{name} {value:.1f}' for name, value in per_class.items())
        )
        values = {f'{kind}_mAP{size}': _mean(precision[..., s]) for s, size in enumerate(SIZES)}
        values |= {f'{kind}_mAP_50': _mean(precision[0, ..., 0]), f'{kind}_mAP_75': _mean(precision[5, ..., 0])}
        if np.isnan(values[f'{kind}_mAP']):
            raise DataError(f'{self.ann_file}: no object in the images evaluated, so there is no AP; check the file')
        return {name: value for name, value in values.items() if not np.isnan(value)}

    def _keep_matches(self, kind: str, matches: Matches) -> None:
        bits = 1 << np.arange(matches.hit.shape[1])
        columns = dict(score=matches.score, label=matches.label, hit=matches.hit @ bits, ignored=matches.ignored @ bits)
        ends = np.searchsorted(matches.image, np.arange(1, len(matches.truth)))
        self.per_image[f'{kind}_truth'] = matches.truth.tolist()
        for name, column in columns.items():
            self.per_image[f'{kind}_{name}'] = [part.tolist() for part in np.split(column, ends)]
        if not self.resamples:
            return
        # About 1.5e9 counts at most: 1,000 draws of a small validation set, 300 of COCO's 5,000 images.
        fitting = int(1.5e9 / (1 + matches.hit.size))
        weights = draws(len(matches.truth), min(self.resamples, max(100, fitting)))
        drawn = np.concatenate([average_precision(matches, part) for part in np.array_split(weights, 20)])
        for name, values in (('mAP', drawn), ('mAP_50', drawn[..., :1]), ('mAP_75', drawn[..., 5:6])):
            self.ci95[f'{kind}_{name}'] = interval(np.nanmean(values, axis=(1, 2)))


def _mean(precision: np.ndarray) -> float:
    known = precision[precision > -1]
    return 100 * float(known.mean()) if known.size else float('nan')
