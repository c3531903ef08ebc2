"""Pictures of dense predictions: a few validation images, each as image, ground truth and prediction."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from PIL import Image
from pycocotools import mask as rle

from ..datasets.mask_labels import IGNORED
from ..datasets.pixels import read_image
from ..registry import HOOKS
from . import drawing
from .objects import DrawnObject, draw_detection


@dataclass(frozen=True)
class _Candidate:
    place: int  # from 1, which of the pictures it may become
    order: int  # 0 is nearest to the place
    info: dict  # the data set's own


@dataclass(frozen=True)
class _Drawn:
    rank: tuple[int, int, int]  # (what it lacks, order, process): the least is kept
    path: Path
    picture: Image.Image


class DensePictures(Hook):
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
        self.candidates_by_path: dict[str, _Candidate] = {}
        self.best: dict[int, _Drawn] = {}
        try:
            data = runner.val_dataloader.dataset
            for place, indices in enumerate(around_places(len(data), self.number, self.candidates), 1):
                for order, index in enumerate(indices):
                    info = data.get_data_info(index)
                    self.candidates_by_path[info['img_path']] = _Candidate(place, order, info)
        except Exception as error:
            _warn(error)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        for sample in outputs or ():
            if candidate := self.candidates_by_path.get(getattr(sample, 'img_path', '')):
                try:
                    self._keep_if_better(runner, candidate, sample)
                except Exception as error:
                    _warn(error)

    def after_val_epoch(self, runner, metrics=None) -> None:
        ranks_of_all = all_gather_object({place: drawn.rank for place, drawn in self.best.items()})
        saved = []
        for place, drawn in self.best.items():
            if drawn.rank == min(ranks[place] for ranks in ranks_of_all if place in ranks):
                try:
                    drawn.path.parent.mkdir(parents=True, exist_ok=True)
                    for old in drawn.path.parent.glob(f'{place}-*.png'):
                        old.unlink()
                    drawn.picture.save(drawn.path)
                    saved.append(str(drawn.path))
                except OSError as error:
                    _warn(error)
        self.pictures = sorted(path for paths in all_gather_object(saved) for path in paths)

    def _keep_if_better(self, runner, candidate: _Candidate, sample) -> None:
        """Draws a candidate that is better than those seen for its place."""
        place, rank = candidate.place, (self.lacks(candidate.info, sample), candidate.order, get_rank())
        if place not in self.best or rank < self.best[place].rank:
            classes = runner.val_dataloader.dataset.metainfo['classes']
            path = Path(runner.work_dir, 'pictures', f'{place}-{Path(sample.img_path).stem}.png')
            picture = self.draw(drawing.zoomed(read_image(sample.img_path)), classes, candidate.info, sample)
            self.best[place] = _Drawn(rank, path, picture)

    def lacks(self, info: dict, sample) -> int:
        """How much a candidate lacks to be worth a picture, 0 nothing."""
        return 0

    def draw(self, photo: Image.Image, classes: list[str], info: dict, sample) -> Image.Image:
        raise NotImplementedError


@HOOKS.register_module()
class SegmentationPictures(DensePictures):
    """The image with its classes laid over it, as labelled and as predicted; pixels that count nowhere are hatched."""

    def draw(self, photo: Image.Image, classes: list[str], info: dict, sample) -> Image.Image:
        truth, found = (part.data.squeeze(0).cpu().numpy() for part in (sample.gt_sem_seg, sample.pred_sem_seg))
        return draw_segmentation(photo, truth, found, classes, Path(sample.img_path).name)


@HOOKS.register_module()
class DetectionPictures(DensePictures):
    """Boxes and masks with class, and for predictions the score.

    Images with objects and with detections to draw come first: many a validation image has neither.

    Args:
        threshold: least score of a detection that is drawn. Where none has it, the best three are drawn, and the caption
            says so: after a short training no score is high, and an empty panel shows nothing of what was learnt.
        most: at most so many detections are drawn, the best.
    """

    candidates = 16
    below = 3  # drawn where none has the threshold

    def __init__(self, number: int = 6, threshold: float = 0.5, most: int = 15):
        super().__init__(number)
        self.threshold, self.most = threshold, most

    def lacks(self, info: dict, sample) -> int:
        """A missing object weighs more than a missing detection."""
        objects = any(not one['ignore_flag'] for one in info['instances'])
        return 2 * (not objects) + (not bool((sample.pred_instances.scores >= self.threshold).any()))

    def draw(self, photo: Image.Image, classes: list[str], info: dict, sample) -> Image.Image:
        found = sample.pred_instances
        sure = bool((found.scores >= self.threshold).any())
        which = (
            f'of score {self.threshold:g} or more, at most {self.most}'
            if sure
            else (f'none of score {self.threshold:g}, so the best {self.below}')
        )
        return draw_detection(
            photo,
            sample.ori_shape[:2],
            _objects_of(info, *sample.ori_shape[:2]),
            self._best(found),
            classes,
            f'{Path(sample.img_path).name}; predictions: {which}',
            'nothing found',
        )

    def _best(self, found) -> list[DrawnObject]:
        """The detections that are drawn, best first."""
        best = found.scores.argsort(descending=True)
        sure = best[found.scores[best] >= self.threshold]
        return [
            DrawnObject(
                found.bboxes[i].tolist(),
                int(found.labels[i]),
                found.masks[i].cpu().numpy() if 'masks' in found else None,
                float(found.scores[i]),
            )
            for i in (sure[: self.most] if len(sure) else best[: self.below]).cpu()
        ]


def _objects_of(info: dict, height: int, width: int) -> list[DrawnObject]:
    """The labelled objects of an image, as mmdet's data set has read them."""
    return [
        DrawnObject(
            one['bbox'],
            None if one['ignore_flag'] else one['bbox_label'],
            _decode(one['mask'], height, width) if 'mask' in one else None,
        )
        for one in info['instances']
    ]


def around_places(length: int, number: int, candidates: int) -> list[list[int]]:
    """The indices nearest to each of `number` places spread evenly over a set, nearest first, each index once."""
    places = np.linspace(0, length - 1, min(number, length)).astype(int)
    if not len(places):
        return []
    distances = np.abs(np.arange(length)[:, None] - places)  # (length, places)
    nearest_place = distances.argmin(1)
    groups = []
    for n in range(len(places)):
        own = np.flatnonzero(nearest_place == n)
        groups.append(own[np.argsort(distances[own, n], kind='stable')][:candidates].tolist())
    return groups


def draw_segmentation(
    photo: Image.Image,
    truth: np.ndarray,
    found: np.ndarray,
    classes: list[str],
    caption: str,
    ignore_index: int = IGNORED,
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


def _decode(mask, height: int, width: int) -> np.ndarray:
    """(H, W) of an annotation's polygons or run lengths, as the file has them."""
    whole = rle.merge(rle.frPyObjects(mask, height, width)) if isinstance(mask, list) else mask
    if isinstance(whole['counts'], list):
        whole = rle.frPyObjects(whole, height, width)
    return np.asarray(rle.decode(whole)).reshape(height, width)


def _warn(error: Exception) -> None:
    MMLogger.get_current_instance().warning(f'no picture: {type(error).__name__}: {error}')
