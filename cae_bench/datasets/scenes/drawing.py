"""Draws one scene: a few lit, textured, overlapping objects on an irregular background, and who owns which pixel.

Edges come from signed distances, so coverage is exact to a fraction of a pixel without drawing at a larger size.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from .shapes import SHAPES

NAMES = tuple(SHAPES)
# Each class wears its own texture and its own hue, both more often than not: cues, as in photographs, but no proof.
TEXTURES = ('checks', 'stripes', 'dots', 'grain', 'waves', 'plain')
HUES = (0.0, 0.33, 0.13, 0.62, 0.80, 0.48)  # red, green, yellow, blue, violet, cyan, in the order of NAMES
# Grounds are mostly rough and seldom regular, and softer in contrast than things.
GROUNDS = ('grain', 'grain', 'grain', 'plain', 'plain', 'stripes', 'waves', 'checks')


@dataclass(frozen=True)
class Scene:
    """image: (H, W, 3) uint8. owner: (H, W), -1 for background, else the object's number. classes: one per object."""

    image: np.ndarray
    owner: np.ndarray
    classes: tuple[int, ...]
    quality: int


@dataclass(frozen=True)
class _Object:
    label: int
    x: float
    y: float
    radius: float
    angle: float
    stretch: float

    def local(self, xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image coordinates -> the object's own, in units of its radius."""
        dx, dy = (xs - self.x) / self.radius, (ys - self.y) / self.radius
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return (cos * dx + sin * dy) / np.float32(self.stretch), (cos * dy - sin * dx) * np.float32(self.stretch)

    def distance(self, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
        """Signed distance to the outline in pixels (H, W), negative inside."""
        return SHAPES[NAMES[self.label]](*self.local(xs, ys)) * np.float32(self.radius)


def draw_scene(rng: np.random.Generator, size: int, dominant: int) -> Scene:
    """One scene whose largest visible object has class `dominant`; the same generator state gives the same scene."""
    ys, xs = np.mgrid[:size, :size].astype(np.float32) + np.float32(0.5)
    objects, distances, owner = _arrange(rng, size, dominant, xs, ys)
    light = _unit(np.array([*_direction(rng) * rng.uniform(0.5, 1.2), 1.0]))
    canvas = _background(rng, size, xs, ys)
    softness, height = rng.uniform(2, 7) * size / 128, rng.uniform(2, 7) * size / 128
    for thing, distance in zip(objects, distances):
        shadow = thing.distance(xs + light[0] * height, ys + light[1] * height)
        canvas *= 1 - 0.55 * np.clip(0.5 - shadow / softness, 0, 1)[..., None]
        coverage = np.clip(0.5 - distance, 0, 1)[..., None]
        canvas += coverage * (_surface(rng, thing, distance, light, canvas, xs, ys) - canvas)
    image = _camera(rng, canvas, xs, ys)
    return Scene(image, owner, tuple(o.label for o in objects), int(rng.integers(75, 92)))


def _arrange(rng: np.random.Generator, size: int, dominant: int, xs: np.ndarray, ys: np.ndarray):
    """Throws objects until each is recognisable and the wanted one is the largest, by a margin, of all visible."""
    unit = size / 128
    while True:
        count = int(rng.integers(2, 5))
        objects = [_throw(rng, size, dominant, rng.uniform(20, 28) * unit)]
        objects += [
            _throw(rng, size, int(rng.integers(len(NAMES))), rng.uniform(13, 24) * unit) for _ in range(count - 1)
        ]
        objects = [objects[i] for i in rng.permutation(count)]  # painted in this order, the last on top
        distances = [thing.distance(xs, ys) for thing in objects]
        owner = np.full((size, size), -1, np.int64)
        for i, distance in enumerate(distances):
            owner[distance < 0] = i
        whole = np.array([np.count_nonzero(d < 0) for d in distances])
        seen = np.bincount(owner.ravel() + 1, minlength=count + 1)[1:]
        largest = int(seen.argmax())
        clear = seen[largest] >= 1.15 * np.delete(seen, largest).max()
        if clear and objects[largest].label == dominant and (seen >= np.maximum(0.5 * whole, 200 * unit**2)).all():
            return objects, distances, owner


def _throw(rng: np.random.Generator, size: int, label: int, radius: float) -> _Object:
    """Somewhere in the picture, a little may leave it; tilted by up to 26 degrees: photographs are mostly upright."""
    margin = 0.75 * radius
    x, y = rng.uniform(margin, size - margin), rng.uniform(margin, size - margin)
    return _Object(label, x, y, radius, rng.uniform(-0.45, 0.45), rng.uniform(0.88, 1.13))


def _background(rng: np.random.Generator, size: int, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32: one or two materials with an irregular border, each with its own tint and texture."""
    canvas = _material(rng, rng.choice(GROUNDS), _colour(rng), 0.2, xs, ys)
    if rng.random() < 0.5:
        border = _noise(rng, size, first=int(rng.integers(2, 5)))
        cover = np.clip((border - rng.uniform(0.45, 0.6)) * rng.uniform(4, 40) + 0.5, 0, 1)
        canvas += cover[..., None] * (_material(rng, rng.choice(GROUNDS), _colour(rng), 0.2, xs, ys) - canvas)
    return canvas


def _surface(
    rng: np.random.Generator,
    thing: _Object,
    distance: np.ndarray,
    light: np.ndarray,
    canvas: np.ndarray,
    xs: np.ndarray,
    ys: np.ndarray,
) -> np.ndarray:
    """(H, W, 3) float32: the object's material under the scene's light, rounded towards its edge."""
    texture = TEXTURES[thing.label] if rng.random() < 0.8 else rng.choice(TEXTURES)
    behind = canvas[distance < 0].mean(0)
    typical = rng.random() < 0.85
    choices = [_typical_colour(rng, thing.label) if typical else _colour(rng) for _ in range(4)]
    colour = max(choices, key=lambda c: np.abs(c - behind).sum())
    u, v = thing.local(xs, ys)
    radius = np.float32(thing.radius)
    albedo = _material(rng, texture, colour, 0.7, u * radius, v * radius)
    bevel = rng.uniform(0.15, 0.9) * radius
    height = np.sqrt(np.clip(1 - np.clip(1 + distance / bevel, 0, 1) ** 2, 0, 1)) * bevel * 0.8
    slope_y, slope_x = np.gradient(height)
    facing = (light[2] - slope_x * light[0] - slope_y * light[1]) / np.sqrt(1 + slope_x**2 + slope_y**2)
    facing = np.clip(facing, 0, 1)[..., None]
    gloss = rng.uniform(0, 0.35) * facing**12
    return albedo * (0.45 + 0.7 * facing) + gloss


def _material(
    rng: np.random.Generator, texture: str, colour: np.ndarray, contrast: float, u: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """Two shades of one tint mixed by a pattern, roughened by noise. u, v: (H, W) pixels. Returns (H, W, 3)."""
    shift = rng.normal(0, 0.08 * contrast, 3).astype(np.float32)
    other = np.clip(colour * (1 - contrast * rng.uniform(0.25, 0.7)) + shift, 0, 1)
    pattern = _pattern(rng, texture, u, v)[..., None]
    rough = 1 + rng.uniform(0.1, 0.35) * (_noise(rng, len(u), first=8) - 0.5)[..., None]
    return (colour + pattern * (other - colour)) * rough


def _pattern(rng: np.random.Generator, texture: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(H, W) in 0..1; the period is 5 to 11 pixels of a 128-pixel picture."""
    size = len(u)
    wave = np.float32(2 * np.pi / (rng.uniform(5, 11) * size / 128))
    angle = rng.uniform(0.9, 1.5)  # stripes lie, as waves and layers do
    a, b = np.float32(np.cos(angle)) * wave, np.float32(np.sin(angle)) * wave
    along, across = a * u + b * v, a * v - b * u
    if texture == 'stripes':
        return np.clip(1.5 * np.sin(along) + 0.5, 0, 1)
    if texture == 'checks':
        return np.clip(3 * np.sin(along) * np.sin(across) + 0.5, 0, 1)
    if texture == 'dots':
        return np.clip(3 * (np.cos(along) + np.cos(across)) - 1.5, 0, 1)
    if texture == 'waves':
        return np.clip(1.5 * np.sin(along + 1.5 * np.sin(0.7 * across)) + 0.5, 0, 1)
    if texture == 'grain':
        return np.clip((_noise(rng, size, first=16) - 0.5) * 4 + 0.5, 0, 1)
    return np.full(u.shape, 0.25 * rng.random(), np.float32)  # plain


def _noise(rng: np.random.Generator, size: int, first: int) -> np.ndarray:
    """(size, size) float32 around 0.5: octaves of smooth noise, `first` cells a side and doubling."""
    total, weight, cells = np.zeros((size, size), np.float32), 1.0, first
    norm = 0.0
    while cells <= size // 2 and weight > 0.1:
        grid = Image.fromarray(rng.random((cells, cells), np.float32))
        total += weight * np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))
        norm, weight, cells = norm + weight, weight * 0.55, cells * 2
    return total / np.float32(norm)


def _camera(rng: np.random.Generator, canvas: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Uneven light, vignette, white balance, exposure, contrast, slight blur, sensor noise -> (H, W, 3) uint8."""
    size = len(xs)
    direction = _direction(rng) * rng.uniform(0, 0.5) / size
    falloff = 1 + direction[0] * (xs - size / 2) + direction[1] * (ys - size / 2)
    falloff -= rng.uniform(0, 0.5) * ((xs / size - 0.5) ** 2 + (ys / size - 0.5) ** 2)
    tint = rng.uniform(0.85, 1.1, 3).astype(np.float32) * np.float32(rng.uniform(0.75, 1.2))
    canvas = np.clip(canvas * falloff[..., None] * tint, 0, 1) ** np.float32(rng.uniform(0.8, 1.3))
    picture = Image.fromarray((canvas * 255).astype(np.uint8))
    sharp = np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.7) * size / 128)), np.float32)
    grain = rng.standard_normal(sharp.shape, np.float32) * np.float32(rng.uniform(1, 7))
    return np.clip(sharp + grain, 0, 255).astype(np.uint8)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A random colour, greyish more often than vivid, as things are. (3,) float32 in 0..1."""
    grey, tint = rng.uniform(0.2, 0.95), rng.random(3)
    return np.clip(grey + rng.uniform(0.1, 0.8) * (tint - tint.mean()), 0.05, 1).astype(np.float32)


def _typical_colour(rng: np.random.Generator, label: int) -> np.ndarray:
    """A colour near the hue of a class, pale to vivid, dark to bright. (3,) float32 in 0..1."""
    hue = (HUES[label] + rng.normal(0, 0.025)) % 1
    return np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.4, 0.9), rng.uniform(0.5, 0.95)), np.float32)


def _direction(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.sqrt((vector**2).sum())).astype(np.float32)
