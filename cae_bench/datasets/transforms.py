"""Reading images and masks so that a damaged or impossible file is named: the error says which one and what to do."""
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile

from ..errors import DataError
from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's LoadImageFromFile (BGR uint8, `img`), raising a DataError that names the file if it cannot be decoded."""

    def transform(self, results: dict) -> dict:
        path = results['img_path']
        try:
            return super().transform(results)
        except Exception as error:
            raise DataError(f'{path}: {_reason(error)}; replace the image or remove it from the data set') from None


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return 'no such image, though the data set lists it'
    if isinstance(error, OSError):
        return f'cannot be read ({error.strerror or error})'
    return 'not an image that can be decoded'                   # mmcv asserts, OpenCV raises: neither says more


@TRANSFORMS.register_module()
class CheckMask(BaseTransform):
    """Checks a segmentation mask right after it was read: one channel, the image's size, labels within the classes.

    Args:
        ignore_index: the label of pixels that count nowhere.
        load: the transform that reads the mask, e.g. dict(type='mmseg.LoadAnnotations'). It runs first, and a file
            that it cannot read is named too. Without it the mask must have been read by the transform before.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, load: dict | None = None):
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.load = TRANSFORMS.build(load) if load else None

    def transform(self, results: dict) -> dict:
        path = results['seg_map_path']
        if self.load is not None:
            try:
                results = self.load(results)
            except Exception as error:
                raise DataError(f'{path}: the mask cannot be read ({type(error).__name__}: {error}); '
                                'replace it or remove it together with its image') from None
        self._check(results['gt_seg_map'], results, path)
        return results

    def _check(self, mask: np.ndarray, results: dict, path: str) -> None:
        if mask.ndim != 2:
            raise DataError(f'{path}: a mask of shape {mask.shape}; save it with one channel holding class numbers')
        if 'ori_shape' in results and mask.shape != tuple(results['ori_shape']):
            raise DataError(f"{path}: mask of {mask.shape[0]}x{mask.shape[1]} for an image of "
                            f"{results['ori_shape'][0]}x{results['ori_shape'][1]} (rows x columns); they must agree")
        wrong = mask[(mask >= self.num_classes) & (mask != self.ignore_index)]
        if wrong.size:
            shift = 1 if results.get('reduce_zero_label') else 0        # as the file has it, before 0 became ignored
            raise DataError(
                f'{path}: mask value {int(wrong[0]) + shift} is outside the {self.num_classes} classes '
                f'({shift} to {self.num_classes - 1 + shift}, {self.ignore_index} is ignored); '
                'correct the mask, or classes and reduce_zero_label in meta.json')
