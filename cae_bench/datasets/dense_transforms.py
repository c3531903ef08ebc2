"""Reading images and masks so that a damaged or impossible file is named: the error says which one and what to do."""

import numpy as np
from mmcv.transforms import BaseTransform

from ..errors import DataError
from ..registry import TRANSFORMS
from .mask_labels import EIGHT_BITS, IGNORED, labels_of, read_mask, refuse_unknown, unknown_labels
from .pixels import open_image, read_image


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """The image at `img_path` as BGR uint8 in `img`, read as in every other task: see `pixels`.

    Pixels are those of mmcv's LoadImageFromFile, but for the rules there; nothing is turned by its EXIF orientation.

    Raises:
        DataError: names a file that cannot be read, or whose size is not what a COCO file says.
    """

    def transform(self, results: dict) -> dict:
        image = np.ascontiguousarray(np.asarray(read_image(results['img_path']))[..., ::-1])
        height, width = image.shape[:2]
        if not (results.get('height', height) == height and results.get('width', width) == width):
            raise DataError(
                f'{results["img_path"]} is {width}x{height} pixels as stored, its annotation file says '
                f'{results["width"]}x{results["height"]}: correct the file, or turn the image.'
            )
        return dict(results, img=image, img_shape=(height, width), ori_shape=(height, width))


@TRANSFORMS.register_module()
class CheckMask(BaseTransform):
    """Checks a segmentation mask right after it was read: one channel, the image's size, labels within the classes.

    Args:
        ignore_index: the label of pixels that count nowhere.
        load: the transform that reads the mask, e.g. dict(type='mmseg.LoadAnnotations'). It runs first, and a file
            that it cannot read is named too. Without it the mask must have been read by the transform before.
    """

    def __init__(self, num_classes: int, ignore_index: int = IGNORED, load: dict | None = None):
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.load = TRANSFORMS.build(load) if load else None

    def transform(self, results: dict) -> dict:
        path = results['seg_map_path']
        if self.load is not None:
            self._look(path, results)
            try:
                results = self.load(results)
            except Exception as error:
                raise DataError(
                    f'{path}: the mask cannot be read ({type(error).__name__}: {error}); '
                    'replace it or remove it together with its image'
                ) from None
        self._check(results['gt_seg_map'], results, path)
        return results

    def _look(self, path: str, results: dict) -> None:
        """What a loader cannot see: a mask too large to decode, and labels that do not fit into its 8 bits."""
        try:
            with open_image(path) as mask:
                fits = mask.mode in EIGHT_BITS
        except (OSError, SyntaxError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            return  # the loader's to say
        if not fits:
            refuse_unknown(
                path,
                labels_of(read_mask(path)),
                self.num_classes,
                bool(results.get('reduce_zero_label')),
                self.ignore_index,
            )

    def _check(self, mask: np.ndarray, results: dict, path: str) -> None:
        if mask.ndim != 2:
            raise DataError(f'{path}: a mask of shape {mask.shape}; save it with one channel holding class numbers')
        if 'ori_shape' in results and mask.shape != tuple(results['ori_shape']):
            raise DataError(
                f'{path}: mask of {mask.shape[0]}x{mask.shape[1]} for an image of '
                f'{results["ori_shape"][0]}x{results["ori_shape"][1]} (rows x columns); they must agree'
            )
        unknown = unknown_labels(mask, self.num_classes, self.ignore_index)
        if unknown.size:
            reduced = bool(results.get('reduce_zero_label'))
            in_file = labels_of(unknown.astype(int) + reduced)  # before label 0 became the ignored one
            refuse_unknown(path, in_file, self.num_classes, reduced, self.ignore_index)
