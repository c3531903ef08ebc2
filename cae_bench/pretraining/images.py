"""Images for pretraining: any folder of images, no labels; two views of one crop, and a mask.

What is random about an item depends on the run's seed, the epoch and the image, and on nothing else: not on the
worker that makes it, nor on where an interrupted run starts again.
"""

import contextlib
import random
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import functional as TF

from ..datasets import files
from ..datasets.layouts import training_folders
from ..datasets.pass_sampler import PassSampler
from ..datasets.pixels import read_image
from ..errors import ConfigError, DataError
from ..probing.views import RandomCropView, to_tensor
from ..registry import DATA_SAMPLERS, DATASETS, TRANSFORMS

RESAMPLING = {name: getattr(Image.Resampling, name.upper()) for name in ('bicubic', 'bilinear', 'lanczos')}
TRIES = 10  # for another image in place of a corrupt one


@TRANSFORMS.register_module()
class TwoViews:
    """One random crop, resized twice: for the encoder, and for the tokenizer or teacher that makes its targets.

    Args:
        size: side of the encoder's view in pixels.
        second_size: side of the other one; None for methods that need no second view.
        scale, ratio: ranges of the crop's share of the area and of its width / height.
        flip: probability of a left-right flip, of both views together.
        interpolation, second_interpolation: PIL's filters; CAE's are bicubic and lanczos.
        color_jitter: strength for brightness, contrast and saturation, before the crop (CAE v2: 0.4).
    """

    def __init__(
        self,
        size: int,
        second_size: int | None = None,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        interpolation: str = 'bicubic',
        second_interpolation: str = 'lanczos',
        color_jitter: float = 0.0,
    ):
        self.size, self.crop, self.flip = size, RandomCropView(size, scale, ratio), flip
        for name in (interpolation, second_interpolation):
            if name not in RESAMPLING:
                raise ConfigError(f'TwoViews: no interpolation named {name!r}; choose {", ".join(RESAMPLING)}')
        self.sides = {'inputs': (size, RESAMPLING[interpolation])}
        if second_size:
            self.sides['second'] = (second_size, RESAMPLING[second_interpolation])
        self.color_jitter = color_jitter

    def __call__(self, image: Image.Image, rng: random.Random) -> dict[str, torch.Tensor]:
        """RGB image -> uint8 (3, size, size) for each view."""
        image = self._jitter(image, rng) if self.color_jitter else image
        left, top, width, height = self.crop.box(*image.size, rng)
        part = image.crop((left, top, left + width, top + height))
        if rng.random() < self.flip:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return {view: to_tensor(part.resize((side, side), how)) for view, (side, how) in self.sides.items()}

    def _jitter(self, image: Image.Image, rng: random.Random) -> Image.Image:
        steps = [TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation]
        for step in rng.sample(steps, len(steps)):
            image = step(image, rng.uniform(max(0, 1 - self.color_jitter), 1 + self.color_jitter))
        return image


@DATASETS.register_module()
class PretrainImages(torch.utils.data.Dataset):
    """Every image below a folder, asked for by (seed, epoch, index).

    An item is dict(inputs=uint8 (3, S, S)[, second=uint8], mask=bool (N,), index, corrupt), where `corrupt` is the
    index of an image that could not be read and was replaced by another, else -1.

    Args:
        data_root: a data set in any layout of this package (its training split is taken), or any folder of images.
        view: config of the views; mask: config of the mask generator.
        in_memory: keep decoded images; for small data sets of small images.
        limit: keep only this many, evenly over the sorted list.

    Raises:
        DataError: no such folder, or no images in it.
    """

    def __init__(self, data_root: str, view: dict, mask: dict, in_memory: bool = False, limit: int | None = None):
        self.root = training_folder(Path(data_root).expanduser())
        self.names = files.names(self.root)
        if not self.names:
            raise DataError(f'{self.root} holds no images ({" ".join(files.IMAGES)}): give a folder of images.')
        if limit:
            self.names = self.names[:: max(1, len(self.names) // limit)][:limit]
        self.view, self.mask = TRANSFORMS.build(dict(view)), TRANSFORMS.build(dict(mask))
        self.cache = {} if in_memory else None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, key: tuple[int, int, int]) -> dict:
        seed, epoch, index = key
        rng = random.Random(f'{seed}/{epoch}/{index}')
        image, corrupt = self._readable(index, rng)
        return dict(self.view(image, rng), mask=torch.from_numpy(self.mask(rng)), index=index, corrupt=corrupt)

    def path(self, index: int) -> str:
        return str(self.root / self.names[index])

    def _readable(self, index: int, rng: random.Random) -> tuple[Image.Image, int]:
        """The image, or another drawn in its place, and -1 or the index of the one that is corrupt."""
        try:
            return self._read(index), -1
        except DataError:
            for _ in range(TRIES - 1):
                with contextlib.suppress(DataError):
                    return self._read(rng.randrange(len(self.names))), index
            raise

    def _read(self, index: int) -> Image.Image:
        if self.cache is None:
            return read_image(self.path(index))
        if index not in self.cache:
            self.cache[index] = read_image(self.path(index))
        return self.cache[index]


def training_folder(root: Path) -> Path:
    """The training split's images of a data set in a known layout, else the folder itself."""
    if not root.is_dir():
        raise DataError(f"{root} is no folder: give the data set's, with images below it.")
    return next((root / part for part in training_folders() if (root / part).is_dir()), root)


@DATA_SAMPLERS.register_module()
class UpdateSampler(PassSampler):
    """Yields (seed, epoch, index) for whole optimizer updates; the images left over at the end of a pass are left out.

    images_per_update: of all processes and accumulation steps together. As the order depends on seed and epoch alone,
        one process that accumulates sees the same images in an update as many processes that do not.
    """

    def __init__(self, dataset, seed: int | None = None, shuffle: bool = True, images_per_update: int = 1):
        super().__init__(dataset, seed, shuffle)
        self.images_per_update = images_per_update
        if self.size < images_per_update:
            raise DataError(
                f'{getattr(dataset, "root", "the data set")} holds {self.size} images, fewer than the batch of '
                f'{images_per_update}: give more images, or --cfg-options pretrain.batch={self.size}'
            )

    def __len__(self) -> int:
        return self.size // self.images_per_update * self.images_per_update // self.world_size

    def own(self) -> list[int]:
        return self.order()[: len(self) * self.world_size][self.rank :: self.world_size]
