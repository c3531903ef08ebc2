"""What a model makes of hidden patches, as a picture: image, what it sees, its guess, where its codes are right."""

from pathlib import Path

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from PIL import Image, ImageDraw
from torch import Tensor

from ..errors import ConfigError
from ..registry import HOOKS

GREY, RIGHT, WRONG = 0.5, (0.2, 0.75, 0.3), (0.85, 0.25, 0.2)
SCALE, GAP = 128, 4  # side of a picture's cell, at least, and what lies between; pixels


@HOOKS.register_module()
class EpochPicture(Hook):
    """Every n epochs `pictures/epoch-0010.png`: the same images and masks each time, one row an image.

    Columns: the image; what the encoder sees; the reconstruction (pixels: with the true mean and contrast of each
    patch, which the model is not asked for; codes: each patch as the mean of the patches of its code, likewise); and
    for codes where the guess is right (green) or wrong (red).

    Args:
        num_images: rows.
        num_reference: images whose patches stand for the codes.
    """

    priority = 'LOW'

    def __init__(self, every: int = 1, num_images: int = 8, num_reference: int = 256):
        if every < 1:
            raise ConfigError(f'--pictures {every}: give a number of epochs, at least 1')
        self.every, self.num_images, self.num_reference = every, num_images, num_reference

    def after_train_epoch(self, runner) -> None:
        epoch = runner.epoch + 1
        if epoch % self.every and epoch != runner.max_epochs or not is_main_process():
            return
        path = Path(runner.work_dir, 'pictures', f'epoch-{epoch:04d}.png')
        path.parent.mkdir(exist_ok=True)
        draw(runner.train_loop.model, runner.train_dataloader.dataset, self.num_images, self.num_reference).save(path)


@torch.no_grad()
def draw(model, dataset, num_images: int = 8, num_reference: int = 256) -> Image.Image:
    """One row for each of some images, spread evenly over the data set."""
    from . import pixels
    from .methods.base import Views

    training = model.training
    model.eval()
    device = next(model.parameters()).device
    batch = _batch(model, dataset, num_images, device)
    views, mask = Views(batch['inputs'], batch['raw'], batch['second']), batch['mask']
    guess, right = model.guess(views, mask)
    size = model.spec.patch_size
    patches = pixels.patchify(batch['raw'].float() / 255, size)
    columns = {'image': patches, 'seen': patches.masked_fill(mask[..., None], GREY)}
    if guess is not None:
        if guess.ndim == 2:
            guess = _code_book(model, dataset, num_reference, device)[guess]
        guess = _paint(guess, patches)
        columns['guess'] = torch.where(mask[..., None], guess, patches)
    if right is not None:
        colours = torch.tensor([WRONG, RIGHT], device=device)[right.long()].repeat(1, 1, size * size)
        columns['code right?'] = torch.where(mask[..., None], colours, 0.3 * patches + 0.7)
    model.train(training)
    return _sheet({title: pixels.unpatchify(c.clamp(0, 1), size, model.spec.grid) for title, c in columns.items()})


def _batch(model, dataset, number: int, device) -> dict:
    indices = np.linspace(0, len(dataset) - 1, min(number, len(dataset))).astype(int)
    items = [dataset[0, 0, int(i)] for i in indices]  # seed 0, epoch 0: the same crops and masks every time
    names = [k for k in ('inputs', 'second', 'mask') if k in items[0]]
    batch = model.data_preprocessor({name: torch.stack([item[name] for item in items]) for name in names})
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}


def _paint(guess: Tensor, patches: Tensor) -> Tensor:
    """A guess of any mean and contrast with those of the true patches (MAE's demo does the same)."""

    def standard(x):
        return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)

    return standard(guess) * patches.std(-1, keepdim=True) + patches.mean(-1, keepdim=True)


def _code_book(model, dataset, number: int, device) -> Tensor:
    """(codes, values of a patch): the mean normalised patch of each code over some images; zero for a code not seen."""
    from . import pixels
    from .methods.base import Views

    batch = _batch(model, dataset, number, device)
    codes = model.make_target(Views(batch['inputs'], batch['raw'], batch['second'])).flatten()
    patches = pixels.normalised(pixels.patchify(batch['raw'].float() / 255, model.spec.patch_size)).flatten(0, 1)
    book = patches.new_zeros(model.target.dims, patches.shape[1]).index_add_(0, codes, patches)
    return book / torch.bincount(codes, minlength=len(book)).clamp(min=1)[:, None]


def _sheet(columns: dict[str, Tensor]) -> Image.Image:
    """Columns of (B, 3, H, W) in [0, 1] side by side under their titles, enlarged by whole pixels."""
    from ..pictures.drawing import INK, PAPER, TEXT, font

    images = next(iter(columns.values()))
    zoom = max(1, SCALE // images.shape[2])
    height, width = zoom * images.shape[2] + GAP, zoom * images.shape[3] + GAP
    page = Image.new('RGB', (len(columns) * width, len(images) * height + 2 * TEXT), PAPER)
    for x, (title, column) in enumerate(columns.items()):
        ImageDraw.Draw(page).text(((x + 0.5) * width, TEXT), title, INK, font(), 'mm')
        for y, cell in enumerate((255 * column).round().byte().permute(0, 2, 3, 1).cpu().numpy()):
            page.paste(
                Image.fromarray(cell).resize((width - GAP, height - GAP), Image.Resampling.NEAREST),
                (x * width, y * height + 2 * TEXT),
            )
    return page
