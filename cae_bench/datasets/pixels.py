"""One reader of images for every task: 8-bit RGB, the pixels as they are stored.

What a file holds beside that is handled by these rules, in classification, segmentation, detection and pretraining
alike, and `cae-bench data check` counts the files that each of them touches:

* 16 bits a channel: the high byte is taken, which is what Pillow and OpenCV do with 16-bit colour (Pillow rounds
  16-bit PPM files instead).
* Floats and 32-bit integers: refused, because nothing says which value is white.
* Alpha is dropped, not blended; CMYK is converted without its colour profile; palettes are looked up; grey and 1-bit
  images are repeated in three channels. All of this is Pillow's `convert('RGB')`.
* Several pictures in a file (animations, pages): the first one.
* EXIF orientation: ignored, as the official pipelines do, which read with Pillow. So masks and boxes belong to the
  pixels as stored.
* More than `MOST_PIXELS`: refused from the header, before anything is decoded. A PNG of some kilobytes can hold a
  picture of gigabytes.
"""

import contextlib
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from ..errors import DataError

# 256 MiB as RGB, where Pillow begins to warn. No image of ImageNet, ADE20K or COCO comes near it.
MOST_PIXELS = 2**28 // 3
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258  # tags of EXIF and of TIFF
# Pillow turns TIFF files itself while it decodes them. What takes that back:
_TURN_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

# What `look` may note about a file -> what becomes of it, of one image and of several, for `data check`
NOTES = {
    '16-bit grey': ('is', 'are', '16-bit grey: read as 8-bit, the high byte of each pixel'),
    '16-bit colour': ('is', 'are', '16-bit colour: read as 8-bit, the high byte of each value'),
    'alpha': ('has', 'have', 'an alpha channel: it is dropped, and the colours behind it are read'),
    'CMYK': ('is', 'are', 'CMYK: converted to RGB without a colour profile'),
    'frames': ('holds', 'hold', 'several pictures: the first is read'),
    'orientation': (
        'carries',
        'carry',
        'an EXIF orientation: it is ignored, and pixels are read as stored. Where '
        'pictures must be turned, turn the files (e.g. exiftran -ai FILES), and with them their masks and boxes',
    ),
}


def read_image(path: str | Path) -> Image.Image:
    """The image in RGB.

    Raises:
        DataError: names a file that cannot be decoded to its end, is too large, or holds numbers of unknown range.
    """
    with _named(path), open_image(path) as image:
        return _decode(image, path)


def look(path: str | Path) -> tuple[tuple[int, int], set[str]]:
    """((width, height), the keys of NOTES that apply). Decodes the image, and raises, as `read_image` does."""
    with _named(path), open_image(path) as image:
        notes = _notes(image)
        return _decode(image, path).size, notes


@contextlib.contextmanager
def _named(path: str | Path):
    """What Pillow raises about a file, as a DataError that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # some ImageNet files have damaged EXIF blocks and sound pixels
            yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f'{path} is gone since the folder was listed: put it back, or start again.') from None
    except UnidentifiedImageError:
        raise DataError(f'{path} is no readable image (of no known kind): replace or delete it.') from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError) as error:
        raise DataError(f'{path} is no readable image ({error}): replace or delete it.') from error


def open_image(path: str | Path) -> Image.Image:
    """`Image.open`, with a DataError for what is too large by its header. What Pillow cannot open, it says itself."""
    try:
        image = Image.open(path)
    except Image.DecompressionBombError:
        raise DataError(_too_large(path, 'more than 178 million pixels')) from None
    if image.width * image.height > MOST_PIXELS:
        size = f'{image.width:,} x {image.height:,} pixels'
        image.close()
        raise DataError(_too_large(path, size))
    return image


def _too_large(path: str | Path, size: str) -> str:
    return (
        f'{path} ({os.path.getsize(path):,} bytes) holds {size}, at most {MOST_PIXELS / 1e6:.0f} million are read: '
        'make it smaller or delete it.'
    )


def _notes(image: Image.Image) -> set[str]:
    notes = set()
    if image.mode.startswith('I'):
        notes.add('16-bit grey')
    elif isinstance(image, ImageFile.ImageFile) and any(';16' in str(tile) for tile in image.tile):
        notes.add('16-bit colour')
    if image.mode in ('LA', 'PA', 'RGBA', 'La', 'RGBa') or 'transparency' in image.info:
        notes.add('alpha')
    if image.mode == 'CMYK':
        notes.add('CMYK')
    if getattr(image, 'n_frames', 1) > 1:
        notes.add('frames')
    if _orientation(image) != 1:
        notes.add('orientation')
    return notes


def _orientation(image: Image.Image) -> int:
    """1 to 8; a damaged EXIF block, or another number, counts as 1."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises what it likes, and nothing of it is about pixels
        return 1
    return value if value in _TURN_BACK else 1


def _decode(image: Image.Image, path: str | Path) -> Image.Image:
    turned = _orientation(image) if image.format == 'TIFF' else 1  # Pillow forgets it as it decodes
    image.load()
    rgb = _eight_bits(image, path).convert('RGB')
    return rgb.transpose(_TURN_BACK[turned]) if turned != 1 else rgb


def _eight_bits(image: Image.Image, path: str | Path) -> Image.Image:
    if image.mode == 'F':
        raise DataError(
            f'{path} holds floating-point pixels (mode F), and nothing says which value is white: save it '
            'with 8 bits a channel.'
        )
    if image.mode == 'I' and image.format not in ('PNG', 'PPM'):  # which have 16 bits at most
        raise DataError(
            f'{path} holds 32-bit or signed integers (mode I), and nothing says which value is white: save '
            'it with 8 bits a channel.'
        )
    if not image.mode.startswith('I'):
        return image
    bits = image.tag_v2.get(BITS_PER_SAMPLE, (16,))[0] if isinstance(image, TiffImagePlugin.TiffImageFile) else 16
    return Image.fromarray((np.asarray(image) >> (bits - 8)).astype(np.uint8))
