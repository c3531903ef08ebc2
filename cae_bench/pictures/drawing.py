"""Pictures of dense predictions: three panels under their titles, a legend of colours below."""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..datasets.mask_labels import IGNORED

TITLES = ('image', 'ground truth', 'prediction')
PANEL, GAP, TEXT = 512, 10, 15  # longest side of a panel, space between things, font size; pixels
PAPER, INK, PALE = (255, 255, 255), (20, 20, 20), (110, 110, 110)
VOID, STRIPE = (38, 38, 38), (98, 98, 98)  # what counts nowhere is hatched

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
Legend = list[tuple[str, Colour | None]]  # entries without a colour are hatched


def colour(index: int) -> Colour:
    """The colour of a class: neighbours in the list are far apart on the wheel, and shades repeat late."""
    hue = index * 0.618034 % 1
    saturation, value = ((0.9, 0.95), (0.95, 0.55), (0.5, 1.0))[index % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def font(size: int = TEXT) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def zoomed(image: Image.Image) -> Image.Image:
    """An image at the size of its panel; small scenes grow, photographs shrink."""
    factor = PANEL / max(image.size)
    return image.resize([max(1, round(side * factor)) for side in image.size], Image.Resampling.BICUBIC)


def paint(image: Image.Image, labels: np.ndarray, ignore_index: int = IGNORED) -> Image.Image:
    """A panel with classes laid over it, (H, W) labels of any size; `ignore_index` is hatched."""
    labels = np.array(Image.fromarray(labels.astype(np.int32), 'I').resize(image.size, Image.Resampling.NEAREST))
    table = np.zeros((max(ignore_index, labels.max()) + 1, 3), np.float32)
    table[:] = [colour(i) for i in range(len(table))]
    mixed = 0.4 * np.asarray(image, np.float32) + 0.6 * table[labels]
    mixed[_edges(labels)] *= 0.45  # borders of classes stay visible where colours are close
    mixed[labels == ignore_index] = _hatching(image)[labels == ignore_index]
    return Image.fromarray(mixed.round().astype(np.uint8))


def shade(image: Image.Image, mask: np.ndarray, tint: Colour | None) -> Image.Image:
    """A panel with one object's (H, W) mask laid over it and outlined; hatched without a tint."""
    mask = np.array(Image.fromarray(mask.astype(np.uint8)).resize(image.size, Image.Resampling.NEAREST)).astype(bool)
    pixels = np.asarray(image, np.float32).copy()
    inside = _hatching(image)[mask] if tint is None else np.array(tint, np.float32)
    pixels[mask] = 0.5 * pixels[mask] + 0.5 * inside
    if tint is not None:
        pixels[mask & _edges(mask)] = tint
    return Image.fromarray(pixels.round().astype(np.uint8))


def outline(image: Image.Image, boxes: Sequence[Box], tints: Sequence[Colour], texts: Sequence[str]) -> None:
    """Boxes (x1, y1, x2, y2) in the panel's pixels, in place, each with its text.

    A text goes where it hides no other text and, if there is room, no other box; without room it is left out.
    """
    draw, taken = ImageDraw.Draw(image), []
    for box, tint in zip(boxes, tints):
        draw.rectangle(box, outline=tint, width=2)
    for box, tint, text in zip(boxes, tints, texts):
        others = [other for other in boxes if other is not box]
        place = _free_place(draw, box, text, image.size, taken + others) or _free_place(
            draw, box, text, image.size, taken
        )
        if place:
            taken.append(place)
            draw.rectangle(place, fill=tint)
            draw.text(((place[0] + place[2]) / 2, (place[1] + place[3]) / 2), text, _ink(tint), font(13), anchor='mm')


def note(image: Image.Image, text: str) -> None:
    """A sentence in the middle of a panel, in place."""
    draw = ImageDraw.Draw(image)
    middle = image.width / 2, image.height / 2
    left, top, right, bottom = draw.textbbox(middle, text, font(), anchor='mm')
    draw.rectangle((left - 6, top - 5, right + 6, bottom + 5), fill=PAPER)
    draw.text(middle, text, INK, font(), anchor='mm')


def sheet(panels: Sequence[Image.Image], legend: Legend, caption: str) -> Image.Image:
    """Panels of one size side by side under their titles; below a legend of (name, colour), no colour for hatched."""
    width = sum(panel.width for panel in panels) + GAP * (len(panels) + 1)
    places, height = _flow(legend, width)
    top = 2 * TEXT + GAP
    page = Image.new('RGB', (width, top + panels[0].height + GAP + height + 2 * TEXT), PAPER)
    draw = ImageDraw.Draw(page)
    for i, (panel, title) in enumerate(zip(panels, TITLES)):
        left = GAP + i * (panel.width + GAP)
        draw.text((left + panel.width / 2, top / 2), title, INK, font(TEXT + 3), anchor='mm')
        page.paste(panel, (left, top))
    below = top + panels[0].height + GAP
    for (x, y), (name, tint) in zip(places, legend):
        _swatch(page, (x, below + y, x + TEXT, below + y + TEXT), tint)
        draw.text((x + TEXT + 5, below + y + TEXT / 2), name, INK, font(), anchor='lm')
    draw.text((GAP, page.height - GAP), caption, PALE, font(13), anchor='ls')
    return page


def _flow(legend: Legend, width: int) -> tuple[list[tuple[int, int]], int]:
    """Where each entry starts, in columns of one width, and the height of all."""
    if not legend:
        return [], 0
    step = TEXT + 5 + max(round(font().getlength(name)) for name, _ in legend) + 2 * GAP
    columns = max(1, (width - GAP) // step)
    line = TEXT + 7
    return (
        [(GAP + i % columns * step, i // columns * line) for i in range(len(legend))],
        -(-len(legend) // columns) * line,
    )


def _swatch(page: Image.Image, box: tuple[int, int, int, int], tint: Colour | None) -> None:
    if tint is None:
        swatch = Image.new('RGB', (box[2] - box[0], box[3] - box[1]))
        page.paste(Image.fromarray(_hatching(swatch).astype(np.uint8)), box[:2])
    else:
        ImageDraw.Draw(page).rectangle(box, fill=tint)


def _free_place(draw: ImageDraw.ImageDraw, box: Box, text: str, size: tuple[int, int], taken: list[Box]) -> Box | None:
    """The first of some places at the box's border where the text overlaps no other and is inside the panel."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font(13))
    width, height = right - left + 6, 18
    x1, y1, x2, y2 = box
    for y in (y1 - height, y1, y2, y2 - height, (y1 + y2 - height) / 2):
        for x in (x1, x2 - width, (x1 + x2 - width) / 2):
            x = min(max(x, 0), size[0] - width)
            place = (x, y, x + width, y + height)
            if 0 <= y <= size[1] - height and not any(_overlap(place, other) for other in taken):
                return place
    return None


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _ink(tint: Colour) -> Colour:
    return INK if np.dot(tint, (0.299, 0.587, 0.114)) > 140 else PAPER


def _edges(labels: np.ndarray) -> np.ndarray:
    """Pixels whose right or lower neighbour, or the one left or above, is of another label."""
    edges = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


def _hatching(image: Image.Image) -> np.ndarray:
    """(H, W, 3) float32 stripes of the size of an image."""
    rows, columns = np.indices((image.height, image.width))
    stripe, void = np.array(STRIPE, np.float32), np.array(VOID, np.float32)
    return np.where(((rows + columns) % 10 < 3)[..., None], stripe, void)
