"""mmseg's EncoderDecoder, testing in bounded memory: logits of all classes are never held at an image's full size.

The logits of a network's input are enlarged to the image, 150 classes of 4,000 x 3,000 pixels being 7.2 GB, only to
take the largest at each pixel. Here a few classes at a time are enlarged and compared with the largest so far: 0.8 GB
for that image. Each class is enlarged as before, so the classes chosen are the same to the last bit.
"""

from collections.abc import Iterator
from types import MethodType

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor, nn

from ..registry import MODELS
from .whole_patches import missing, pad

AT_ONCE = 2**29  # bytes of enlarged logits


@MODELS.register_module(name='Segmentor')
def build_segmentor(keep_logits: bool = False, **config) -> nn.Module:
    """An `mmseg.EncoderDecoder` of the same arguments, trained as it is; only its way of testing is another.

    Images that are no whole number of patches are padded for the network, with labels that count nowhere, and logits
    are cropped again. mmseg would stretch those of the padded image over the image.

    Args:
        keep_logits: let predictions carry `seg_logits` at full size, as mmseg's do: for averaging views of an image.
    """
    model = MODELS.build(dict(type='mmseg.EncoderDecoder', **config))
    model.slide_inference = MethodType(_slide, model)
    model.encode_decode = MethodType(_encode_decode, model)
    model.loss = MethodType(_loss, model)
    if not keep_logits:
        model.postprocess_result = MethodType(_postprocess, model)
    return model


def largest(logits: Tensor, size: tuple[int, int], align_corners: bool = False, at_once: int = AT_ONCE) -> Tensor:
    """(C, h, w) -> (H, W) int64: the class of the largest logit after bilinear resizing; the first among equals.

    Args:
        at_once: bytes of resized logits in memory at a time, besides 25 for each pixel.
    """
    step = _step(len(logits), at_once // (size[0] * size[1] * logits.element_size()))
    best, label = _largest_of(logits[:step], size, align_corners)
    for start in range(step, len(logits), step):
        value, index = _largest_of(logits[start : start + step], size, align_corners)
        torch.where(value > best, index.add_(start), label, out=label)
        torch.maximum(value, best, out=best)
    return label


def _largest_of(logits: Tensor, size: tuple[int, int], align_corners: bool) -> tuple[Tensor, Tensor]:
    """(C, h, w) -> the largest logit (H, W) after resizing, and its class."""
    value, index = F.interpolate(logits[None], size, mode='bilinear', align_corners=align_corners)[0].max(0)
    return value, index


def _step(classes: int, fitting: int) -> int:
    """Classes at a time. Never three: PyTorch enlarges what looks like an image by a kernel that rounds otherwise."""
    step = max(1, min(classes, fitting))
    while step < classes and 3 in (step, classes % step):
        step -= 1
    return step


def _postprocess(self, seg_logits: Tensor, data_samples: list | None = None) -> list:
    """In place of mmseg's: the same classes, without `seg_logits` in the samples."""
    if data_samples is None or seg_logits.shape[1] == 1:
        return type(self).postprocess_result(self, seg_logits, data_samples)
    for logits, sample in zip(seg_logits, data_samples):
        logits = _unpadded(logits, sample)
        flipped = sample.metainfo.get('flip') and sample.metainfo.get('flip_direction')
        if flipped:
            logits = logits.flip(dict(horizontal=2, vertical=1)[flipped])
        label = largest(logits, sample.metainfo['ori_shape'], self.align_corners)
        sample.set_data(dict(pred_sem_seg=PixelData(data=label[None])))
    return data_samples


def _unpadded(logits: Tensor, sample) -> Tensor:
    meta = sample.metainfo
    left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
    return logits[:, top : logits.shape[1] - bottom, left : logits.shape[2] - right]


def _slide(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
    """In place of mmseg's: the mean of overlapping windows (B, C, h, w), summed where they lie and not in copies."""
    height, width = inputs.shape[2:]
    total = inputs.new_zeros(len(inputs), self.out_channels, height, width)
    count = inputs.new_zeros(1, 1, height, width)
    for rows in _windows(height, self.test_cfg.crop_size[0], self.test_cfg.stride[0]):
        for columns in _windows(width, self.test_cfg.crop_size[1], self.test_cfg.stride[1]):
            window = inputs[:, :, rows, columns]
            metas = [dict(meta, img_shape=window.shape[2:]) for meta in batch_img_metas]
            total[:, :, rows, columns] += self.encode_decode(window, metas)
            count[:, :, rows, columns] += 1
    return total.div_(count)


def _encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
    """In place of mmseg's: logits (B, C, H, W) of the image, exact also where it is no whole number of patches."""
    rows, columns = _missing(self, inputs)
    if not rows and not columns:
        return type(self).encode_decode(self, inputs, batch_img_metas)
    inputs = pad(inputs, rows, columns)
    metas = [dict(meta, img_shape=inputs.shape[2:]) for meta in batch_img_metas]
    logits = type(self).encode_decode(self, inputs, metas)
    return logits[..., : logits.shape[2] - rows, : logits.shape[3] - columns]


def _loss(self, inputs: Tensor, data_samples: list) -> dict:
    """In place of mmseg's, padding images and labels where an image is no whole number of patches."""
    rows, columns = _missing(self, inputs)
    if rows or columns:
        for sample in data_samples:
            labels = pad(sample.gt_sem_seg.data, rows, columns, self.decode_head.ignore_index)
            sample.gt_sem_seg = PixelData(data=labels)
    return type(self).loss(self, pad(inputs, rows, columns), data_samples)


def _missing(self, inputs: Tensor) -> tuple[int, int]:
    patch_size = getattr(self.backbone, 'patch_size', 1)
    coarsest = getattr(self.neck, 'coarsest', 1) if self.with_neck else 1
    return missing(inputs, patch_size * coarsest, patch_size)


def _windows(length: int, crop: int, stride: int) -> Iterator[slice]:
    """Windows at every stride; the last is moved back inside, and one larger than the image is cut."""
    for start in range(0, max(length - crop + stride - 1, 0) // stride * stride + 1, stride):
        end = min(start + crop, length)
        yield slice(max(end - crop, 0), end)
