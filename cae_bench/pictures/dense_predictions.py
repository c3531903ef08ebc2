"""Pictures of dense predictions: a few validation images, each as image, ground truth and prediction."""

from pathlib import Path

import numpy as np
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from PIL import Image
from pycocotools import mask as rle

from ..datasets.pixels import read_image
from ..registry import HOOKS
from . import drawing


class _Pictures(Hook):
    """After each validation `<work_dir>/pictures/<n>-<image>.png`, in place of the last one's.

    The images are spread evenly over the validation set. Of `candidates` images around each place the one is drawn that
    `lacks` least, the nearest of equals. Predictions are those that were scored. What goes wrong here is logged and
    costs the picture, not the run.

    Attributes:
        pictures: paths of those of the last validation, in order.

    Args:
        number: of images.
    """

    priority = 'LOW'
    candidates = 1

    def __init__(self, number: int = 6):
        self.number = number
        self.pictures: list[str] = []

    def before_val_epoch(self, runner) -> None:
        self.chosen, self.best = {}, {}
        try:
            data = runner.val_dataloader.dataset
            for number, indices in enumerate(around_places(len(data), self.number, self.candidates), 1):
                for order, info in enumerate(data.get_data_info(i) for i in indices):
                    self.chosen[info['img_path']] = (number, order, info)
        except Exception as error:
            _complain(runner, error)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        for sample in outputs or ():
            number, order, info = self.chosen.get(getattr(sample, 'img_path', None), (0, 0, None))
            if number:
                try:
                    self._keep(runner, number, order, info, sample)
                except Exception as error:
                    _complain(runner, error)

    def after_val_epoch(self, runner, metrics=None) -> None:
        everywhere, drawn = all_gather_object({n: kept[0] for n, kept in self.best.items()}), []
        for number, (rank, path, picture) in self.best.items():
            if rank == min(ranks[number] for ranks in everywhere if number in ranks):
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    for old in path.parent.glob(f'{number}-*.png'):
                        old.unlink()
                    picture.save(path)
                    drawn.append(str(path))
                except OSError as error:
                    _complain(runner, error)
        self.pictures = sorted(path for paths in all_gather_object(drawn) for path in paths)

    def _keep(self, runner, number: int, order: int, info: dict, sample) -> None:
        """Draws a candidate that is better than those seen for its place."""
        rank = (self.lacks(info, sample), order, get_rank())
        if number not in self.best or rank < self.best[number][0]:
            classes = runner.val_dataloader.dataset.metainfo['classes']
            path = Path(runner.work_dir, 'pictures', f'{number}-{Path(sample.img_path).stem}.png')
            picture = self.draw(drawing.zoomed(read_image(sample.img_path)), classes, info, sample)
            self.best[number] = rank, path, picture

    def lacks(self, info: dict, sample) -> int:
        """How much a candidate lacks to be worth a picture, 0 nothing."""
        return 0

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

    Images with objects and with detections to draw come first: many a validation image has neither.

    Args:
        threshold: least score of a detection that is drawn.
        most: at most so many detections are drawn, the best.
    """

    candidates = 16

    def __init__(self, number: int = 6, threshold: float = 0.5, most: int = 15):
        super().__init__(number)
        self.threshold, self.most = threshold, most

    def lacks(self, info: dict, sample) -> int:
        """A missing object weighs more than a missing detection."""
        objects = any(not one['ignore_flag'] for one in info['instances'])
        return 2 * (not objects) + (not bool((sample.pred_instances.scores >= self.threshold).any()))

    def draw(self, photo: Image.Image, classes: list[str], info: dict, sample) -> Image.Image:
        height, width = sample.ori_shape[:2]
        found = sample.pred_instances
        best = found.scores.argsort(descending=True)[: self.most]
        best = best[found.scores[best] >= self.threshold].cpu()
        predicted = [
            dict(
                box=found.bboxes[i].tolist(),
                label=int(found.labels[i]),
                score=float(found.scores[i]),
                mask=found.masks[i].cpu().numpy() if 'masks' in found else None,
            )
            for i in best
        ]
        truth = [
            dict(
                box=one['bbox'],
                label=None if one['ignore_flag'] else one['bbox_label'],
                mask=_decode(one['mask'], height, width) if 'mask' in one else None,
            )
            for one in info['instances']
        ]
        top = float(found.scores.max()) if len(found.scores) else None
        return detection(
            photo,
            (height, width),
            truth,
            predicted,
            classes,
            f'{Path(sample.img_path).name}; predictions of score {self.threshold:g} or more, at most {self.most}',
            'nothing found' if top is None else f'none of score {self.threshold:g}, best {top:.2f}',
        )


def around_places(length: int, number: int, candidates: int) -> list[list[int]]:
    """The indices nearest to each of `number` places spread evenly over a set, nearest first, each index once."""
    places = np.linspace(0, length - 1, min(number, length)).astype(int)
    if not len(places):
        return []
    distances = np.abs(np.arange(length)[:, None] - places)
    nearest = distances.argmin(1)
    own = [np.flatnonzero(nearest == n) for n in range(len(places))]
    return [mine[np.argsort(distances[mine, n], kind='stable')][:candidates].tolist() for n, mine in enumerate(own)]


def segmentation(
    photo: Image.Image, truth: np.ndarray, found: np.ndarray, classes: list[str], caption: str, ignore_index: int = 255
) -> Image.Image:
    """`truth` and `found` (H, W) class numbers; the legend names what either holds, the largest first."""
    sizes = np.bincount(truth[truth != ignore_index], minlength=len(classes)) + np.bincount(
        found.ravel(), minlength=len(classes)
    )
    largest_first = np.argsort(-sizes, kind='stable')
    legend: drawing.Legend = [(classes[i], drawing.colour(i)) for i in largest_first if sizes[i]]
    if (truth == ignore_index).any():
        legend.append(('void, not scored', None))
    return drawing.sheet(
        [photo, drawing.paint(photo, truth, ignore_index), drawing.paint(photo, found, ignore_index)], legend, caption
    )


def detection(
    photo: Image.Image,
    shape: tuple[int, int],
    truth: list[dict],
    found: list[dict],
    classes: list[str],
    caption: str,
    nothing: str,
) -> Image.Image:
    """Objects: `box` (x1, y1, x2, y2) and `mask` (H, W) in an image of `shape`, `label` (None: ignored), `score`."""
    panels = [photo, _objects(photo, shape, truth, classes), _objects(photo, shape, found, classes)]
    if not found:
        drawing.note(panels[2], nothing)
    labels = sorted({one['label'] for one in truth + found if one['label'] is not None})
    legend: drawing.Legend = [(classes[label], drawing.colour(label)) for label in labels]
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
    texts = [classes[one['label']] + (f' {one["score"]:.2f}' if 'score' in one else '') for one in kept]
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
