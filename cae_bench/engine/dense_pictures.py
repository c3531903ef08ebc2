"""Pictures of dense predictions: a few fixed validation images, each as image, ground truth and prediction."""
from pathlib import Path

import numpy as np
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from PIL import Image
from pycocotools import mask as rle

from ..datasets.pixels import read_image
from ..registry import HOOKS
from . import _drawing as drawing


class _Pictures(Hook):
    """After each validation `<work_dir>/pictures/<n>-<image>.png` of the same images, in place of the last one's.

    The images are spread evenly over the validation set: neither seed nor model chooses. Predictions are those that
    were scored. What goes wrong here is logged and costs the picture, not the run.

    Attributes:
        pictures: paths of those of the last validation, in order.

    Args:
        number: of images.
    """
    priority = 'LOW'

    def __init__(self, number: int = 6):
        self.number = number
        self.pictures: list[str] = []

    def before_val_epoch(self, runner) -> None:
        self.chosen, self.drawn = {}, []
        try:
            data = runner.val_dataloader.dataset
            places = np.linspace(0, len(data) - 1, min(self.number, len(data))).astype(int)
            infos = [data.get_data_info(int(i)) for i in places]
            self.chosen = {info['img_path']: (n, info) for n, info in enumerate(infos, 1)}
        except Exception as error:
            _complain(runner, error)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        for sample in outputs or ():
            number, info = self.chosen.get(getattr(sample, 'img_path', None), (0, None))
            if number:
                try:
                    self._keep(runner, number, info, sample)
                except Exception as error:
                    _complain(runner, error)

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.pictures = sorted(path for paths in all_gather_object(self.drawn) for path in paths)

    def _keep(self, runner, number: int, info: dict, sample) -> None:
        photo = drawing.zoomed(read_image(sample.img_path))
        classes = runner.val_dataloader.dataset.metainfo['classes']
        path = Path(runner.work_dir, 'pictures', f'{number}-{Path(sample.img_path).stem}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        self.draw(photo, classes, info, sample).save(path)
        self.drawn.append(str(path))

    def draw(self, photo: Image.Image, classes: list[str], info: dict, sample) -> Image.Image:
        raise NotImplementedError


@HOOKS.register_module()
class SegmentationPictures(_Pictures):
    """The image with its classes laid over it, as labelled and as predicted; pixels that count nowhere are hatched."""

    def draw(self, photo: Image.Image, classes: list[str], info: dict, sample) -> Image.Image:
        truth, found = (part.data.squeeze(0).cpu().numpy() for part in (sample.gt_sem_seg, sample.pred_sem_seg))
        return segmentation(photo, truth, found, classes, Path(sample.img_path).name)


@HOOKS.register_module()
class DetectionPictures(_Pictures):
    """Boxes and masks with class, and for predictions the score.

    Args:
        threshold: least score of a detection that is drawn.
        most: at most so many detections are drawn, the best.
    """

    def __init__(self, number: int = 6, threshold: float = 0.5, most: int = 15):
        super().__init__(number)
        self.threshold, self.most = threshold, most

    def draw(self, photo: Image.Image, classes: list[str], info: dict, sample) -> Image.Image:
        height, width = sample.ori_shape[:2]
        found = sample.pred_instances
        best = found.scores.argsort(descending=True)[:self.most]
        best = best[found.scores[best] >= self.threshold].cpu()
        predicted = [dict(box=found.bboxes[i].tolist(), label=int(found.labels[i]), score=float(found.scores[i]),
                          mask=found.masks[i].cpu().numpy() if 'masks' in found else None) for i in best]
        truth = [dict(box=one['bbox'], label=None if one['ignore_flag'] else one['bbox_label'],
                      mask=_decode(one['mask'], height, width) if 'mask' in one else None)
                 for one in info['instances']]
        top = float(found.scores.max()) if len(found.scores) else None
        return detection(photo, (height, width), truth, predicted, classes,
                         f'{Path(sample.img_path).name}; predictions of score {self.threshold:g} or more, at most '
                         f'{self.most}', 'nothing found' if top is None else
                         f'none of score {self.threshold:g}, best {top:.2f}')


def segmentation(photo: Image.Image, truth: np.ndarray, found: np.ndarray, classes: list[str], caption: str,
                 ignore_index: int = 255) -> Image.Image:
    """`truth` and `found` (H, W) class numbers; the legend names what either holds, the largest first."""
    sizes = np.bincount(truth[truth != ignore_index], minlength=len(classes)) + np.bincount(found.ravel(),
                                                                                            minlength=len(classes))
    legend = [(classes[i], drawing.colour(i)) for i in np.argsort(-sizes, kind='stable') if sizes[i]]
    if (truth == ignore_index).any():
        legend.append(('void, not scored', None))
    return drawing.sheet([photo, drawing.paint(photo, truth, ignore_index), drawing.paint(photo, found, ignore_index)],
                         legend, caption)


def detection(photo: Image.Image, shape: tuple[int, int], truth: list[dict], found: list[dict], classes: list[str],
              caption: str, nothing: str) -> Image.Image:
    """Objects: `box` (x1, y1, x2, y2) and `mask` (H, W) in an image of `shape`, `label` (None: ignored), `score`."""
    panels = [photo, _objects(photo, shape, truth, classes), _objects(photo, shape, found, classes)]
    if not found:
        drawing.note(panels[2], nothing)
    labels = sorted({one['label'] for one in truth + found if one['label'] is not None})
    legend = [(classes[label], drawing.colour(label)) for label in labels]
    if any(one['label'] is None for one in truth):
        legend.append(('ignored', None))
    return drawing.sheet(panels, legend, caption)


def _objects(photo: Image.Image, shape: tuple[int, int], objects: list[dict], classes: list[str]) -> Image.Image:
    """Large objects first, so that small ones stay on top; the best detections find a place for their text first."""
    panel = photo.copy()
    for one in sorted(objects, key=lambda one: -_area(one['box'])):
        if one['mask'] is not None:
            panel = drawing.shade(panel, one['mask'], None if one['label'] is None else drawing.colour(one['label']))
    kept = [one for one in objects if one['label'] is not None]
    if kept and 'score' not in kept[0]:
        kept.sort(key=lambda one: -_area(one['box']))
    scale = photo.width / shape[1], photo.height / shape[0]
    boxes = [tuple(side * scale[i % 2] for i, side in enumerate(one['box'])) for one in kept]
    texts = [classes[one['label']] + (f" {one['score']:.2f}" if 'score' in one else '') for one in kept]
    drawing.outline(panel, boxes, [drawing.colour(one['label']) for one in kept], texts)
    return panel


def _area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _decode(mask, height: int, width: int) -> np.ndarray:
    """(H, W) of an annotation's polygons or run lengths, as the file has them."""
    whole = rle.merge(rle.frPyObjects(mask, height, width)) if isinstance(mask, list) else mask
    if isinstance(whole['counts'], list):
        whole = rle.frPyObjects(whole, height, width)
    return np.asarray(rle.decode(whole)).reshape(height, width)


def _complain(runner, error: Exception) -> None:
    MMLogger.get_current_instance().warning(f'no picture: {type(error).__name__}: {error}')
