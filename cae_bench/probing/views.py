"""Views of an image for frozen features: decode once, crop for each protocol.

What is random about a view depends on the run's seed, the epoch, the image and the view's name, and on nothing else:
neither on the number of workers or processes, nor on where an interrupted run starts again.
"""

import hashlib
import math
import os
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from ..datasets.content_hash import content_hash
from ..datasets.image_folder import ImageFolder, stratified
from ..datasets.pixels import read_image
from ..errors import DataError
from ..registry import DATASETS, FUNCTIONS, TRANSFORMS

LEFT_OUT = -2  # label of such an image, as in a feature bank
HOPELESS = 8  # unreadable images in a row: the last batch may be that small
Box = tuple[int, int, int, int]  # left, top, width, height
RESAMPLING = {'bicubic': Image.Resampling.BICUBIC, 'bilinear': Image.Resampling.BILINEAR}


@DATASETS.register_module()
class ImageViews(ImageFolder):
    """An image folder whose keys are (seed, epoch, index) and whose items hold several views.

    An item is dict(views={name: uint8 (3, H, W)}, label, index, image='class/file', held_out=bool).

    Args:
        views: name -> config of a view (TRANSFORMS).
        once: names of views that only the first epoch needs, such as the evaluation view of a k-NN bank.
        held_out: this share of each class, always the same images, is marked as held out.
        only_held_out: keep nothing but these.
        skip_corrupt: hand out a black picture for an image that cannot be decoded instead of raising, with the label
            LEFT_OUT and skipped='split/class/file' ('' for all others). It keeps its place in batches and BatchNorm
            groups, so that they are the same on any number of processes, and counts nowhere.
    """

    def __init__(
        self,
        data_root: str,
        split_dir: str = 'train',
        views: dict | None = None,
        once: tuple = (),
        held_out: float = 0.0,
        only_held_out: bool = False,
        skip_corrupt: bool = False,
        **kwargs,
    ):
        super().__init__(data_root, split_dir, **kwargs)
        self.views = {name: TRANSFORMS.build(dict(view)) for name, view in (views or {}).items()}
        self.once, self.skip_corrupt = tuple(once), skip_corrupt
        self.held_out = held_out_images(self.paths, self.labels, held_out)
        if only_held_out:
            keep = sorted(self.held_out)
            self.paths, self.labels = [self.paths[i] for i in keep], [self.labels[i] for i in keep]
            self.held_out = set(range(len(keep)))

    # The sampler draws keys, not positions.
    def __getitem__(self, key: tuple[int, int, int]) -> dict:  # pyright: ignore[reportIncompatibleMethodOverride]
        seed, epoch, index = key
        wanted = {name: view for name, view in self.views.items() if not (epoch and name in self.once)}
        label, skipped = self.labels[index], ''
        try:
            image = read_image(self.paths[index]) if wanted else None  # cached features need no pixels
        except DataError as error:
            if not self.skip_corrupt:
                raise DataError(f'{error} --skip-corrupt leaves such images out.') from error
            image, label, skipped = Image.new('RGB', (1, 1)), LEFT_OUT, self.name_of(index)
        views = {name: view(image, random.Random(f'{seed}/{epoch}/{index}/{name}')) for name, view in wanted.items()}
        return dict(
            views=views,
            label=label,
            index=index,
            held_out=index in self.held_out,
            skipped=skipped,
            image='/'.join(Path(self.paths[index]).parts[-2:]),
        )

    def name_of(self, index: int) -> str:
        """'split/class/file': tells training from validation images."""
        return '/'.join(Path(self.paths[index]).parts[-3:])

    def content_hash(self) -> str:
        """SHA-256 over the images and, in their order, names and labels."""
        names = [os.path.relpath(path, self.root) for path in self.paths]
        images = content_hash(self.root, {'': dict(zip(names, map(os.path.getsize, self.paths)))})
        total = hashlib.sha256(images.value.encode())
        for name, label in zip(names, self.labels):
            total.update(f'{name}:{label}\n'.encode())
        return total.hexdigest()


def held_out_images(paths: list[str], labels: list[int], share: float) -> set[int]:
    """Positions of a fixed share of every class, by file name; a class of one image keeps it for training."""
    if not share:
        return set()
    by_class = defaultdict(list)
    for i, label in enumerate(labels):
        by_class[label].append(i)
    chosen = set()
    for own in by_class.values():
        count = min(len(own) - 1, math.ceil(share * len(own)))
        if count > 0:
            chosen.update(own[i] for i in stratified([paths[i] for i in own], [0] * len(own), count))
    return chosen


@FUNCTIONS.register_module()
def collate_views(items: list[dict]) -> dict:
    """torch's default collation; `skipped` names the images left out. A batch of nothing else raises DataError."""
    skipped = [item['skipped'] for item in items if item['skipped']]
    if len(skipped) == len(items) > HOPELESS:
        raise DataError(
            f'none of {len(skipped)} images in a row can be decoded, the first is {skipped[0]}: '
            'the data set is damaged beyond skipping.'
        )
    items = [{key: value for key, value in item.items() if key != 'skipped'} for item in items]
    return dict(default_collate(items), skipped=skipped)


def to_tensor(image: Image.Image) -> Tensor:
    """uint8 (3, H, W): a quarter of the bytes of floats on the way out of a worker; the model normalises."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


class _RandomCrop:
    """Crops a random box, resizes it with PIL to a square, flips it horizontally with probability `flip`.

    Args:
        size: side of the result in pixels.
        scale, ratio: ranges of the box's share of the area and of its width / height.
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        interpolation: str = 'bicubic',
    ):
        self.size, self.scale, self.ratio, self.flip = size, scale, ratio, flip
        self.resampling = RESAMPLING[interpolation]

    def __call__(self, image: Image.Image, rng: random.Random) -> Tensor:
        left, top, width, height = self.box(*image.size, rng)
        image = image.crop((left, top, left + width, top + height)).resize((self.size, self.size), self.resampling)
        if rng.random() < self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return to_tensor(image)

    def box(self, width: int, height: int, rng: random.Random) -> Box:
        raise NotImplementedError

    def draw(self, width: int, height: int, rng: random.Random) -> tuple[int, int]:
        """Width and height of a box of random area and aspect; it may be larger than the image."""
        area = width * height * rng.uniform(*self.scale)
        aspect = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
        return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


@TRANSFORMS.register_module()
class RandomCropView(_RandomCrop):
    """torchvision's and timm's RandomResizedCrop: ten tries for a box that fits, then the largest centred one."""

    def box(self, width: int, height: int, rng: random.Random) -> Box:
        for _ in range(10):
            w, h = self.draw(width, height, rng)
            if 0 < w <= width and 0 < h <= height:
                return rng.randint(0, width - w), rng.randint(0, height - h), w, h
        w = min(width, round(height * self.ratio[1]))
        h = min(height, round(width / self.ratio[0]))
        return (width - w) // 2, (height - h) // 2, w, h


@TRANSFORMS.register_module()
class ClampedCropView(_RandomCrop):
    """The crop of MAE's and CAE's linear probing, after BYOL: one try, clamped to the image."""

    def box(self, width: int, height: int, rng: random.Random) -> Box:
        w, h = self.draw(width, height, rng)
        w, h = max(1, min(w, width)), max(1, min(h, height))
        return rng.randint(0, width - w), rng.randint(0, height - h), w, h


@TRANSFORMS.register_module()
class CenterView:
    """Evaluation: the shorter side to `resize` pixels, then the centre square of `size`."""

    def __init__(self, size: int, resize: int, interpolation: str = 'bicubic'):
        self.size, self.resize, self.interpolation = size, resize, InterpolationMode(interpolation)

    def __call__(self, image: Image.Image, rng: random.Random | None = None) -> Tensor:
        # torchvision's annotations know tensors and lists alone; PIL images and numbers are documented.
        resized = TF.resize(image, self.resize, self.interpolation)  # pyright: ignore[reportArgumentType]
        cropped = TF.center_crop(resized, self.size)  # pyright: ignore[reportArgumentType]
        return to_tensor(cropped)  # pyright: ignore[reportArgumentType]
