"""The augmented view of fine-tuning, made by timm, and normalising."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from PIL import Image
from torch import Tensor

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class TimmTrain:
    """Random resized crop, flip, RandAugment, normalise, random erasing: PIL image -> (3, size, size).

    Args:
        size: side of the crop in pixels.
        mean, std: per channel, for pixels in [0, 1].
        auto_augment: timm's policy string, 'rand-m9-mstd0.5-inc1' in every published recipe; None for no policy.
        reprob: probability that a random rectangle is filled with noise, after normalising.
        scale: share of the image area that a crop covers.
        hflip: probability of a horizontal flip.
    """

    def __init__(
        self,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        auto_augment: str | None = None,
        reprob: float = 0.0,
        scale: tuple[float, float] = (0.08, 1.0),
        hflip: float = 0.5,
    ):
        from timm.data.transforms_factory import create_transform  # not above: importing timm takes seconds

        transform = create_transform(
            size,
            is_training=True,
            scale=scale,
            hflip=hflip,
            color_jitter=None,  # pyright: ignore[reportArgumentType]  (timm: None for no jitter)
            auto_augment=auto_augment,
            interpolation='bicubic',
            mean=tuple(mean),
            std=tuple(std),
            re_prob=reprob,
            re_mode='pixel',
            re_count=1,
        )
        self.view = cast(Callable[[Image.Image], Tensor], transform)  # a tuple of transforms only with `separate=True`

    def __call__(self, image: Image.Image) -> Tensor:
        return self.view(image)


@TRANSFORMS.register_module()
class NormalizeImage:
    """uint8 (3, H, W) in 0..255 -> float32, with mean and std per channel for pixels in [0, 1]."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self.mean, self.std = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)

    def __call__(self, image: Tensor) -> Tensor:
        return (image.float() / 255 - self.mean) / self.std
