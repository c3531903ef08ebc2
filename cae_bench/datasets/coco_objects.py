"""The one rule of COCO images and objects, for the check, for planning and so for whatever a run reads later.

An object is at fault (it would end the run, or falsify its score: refused before anything is trained), left out (mmdet
passes it over, so it is counted), or used.
"""

import math

import numpy as np

from .pixels import MOST_PIXELS

NUMBER = {int, float}  # and not bool, which is an int too
FAR = 10  # sides of the image: drawing a point farther off takes for ever
MOST_ID = 2**53


def is_id(value) -> bool:
    """A whole number from 0, also written as 7.0; mmdet and COCO's tools take no other."""
    return type(value) in NUMBER and 0 <= value < MOST_ID and value == int(value)


def find_image_fault(image: dict) -> str | None:
    """What is wrong with an entry of 'images'."""
    if not is_id(image['id']):
        return f'id {image["id"]!r} is no whole number from 0'
    if not isinstance(image['file_name'], str):
        return f'file_name {image["file_name"]!r} is no text'
    height, width = image['height'], image['width']
    if type(height) is not int or type(width) is not int or height < 1 or width < 1:
        return f'height {height!r} and width {width!r} must be whole numbers from 1'
    if height * width > MOST_PIXELS:
        return f'{width:,} x {height:,} pixels, at most {MOST_PIXELS / 1e6:.0f} million are read'
    return None


def find_fault(annotation: dict, width: int, height: int) -> str | None:
    """What is wrong with an object of an image of this size, so that it would end a run or falsify its score."""
    box, area = annotation['bbox'], annotation['area']
    if not isinstance(box, list) or len(box) != 4 or not _are_numbers(box):
        return f'has the box {box!r}: give four numbers, x, y, width, height.'
    if not _are_numbers([area]):
        return f'has the area {area!r}: give a number.'
    if annotation['iscrowd'] not in (0, 1):
        return f'has iscrowd {annotation["iscrowd"]!r}: give 0, or 1 for a crowd.'
    return _find_segmentation_fault(annotation['segmentation'], width, height)


def why_left_out(annotation: dict, width: int, height: int) -> str | None:
    """Why mmdet passes over an object without fault, in training and as ground truth of its own metrics."""
    x, y, w, h = annotation['bbox']
    if w < 1 or h < 1 or annotation['area'] <= 0:
        return 'without area'
    if min(x + w, width) <= max(x, 0) or min(y + h, height) <= max(y, 0):
        return 'outside of their images'
    return 'marked to be ignored' if annotation.get('ignore') else None


def reaches_beyond(annotation: dict, width: int, height: int) -> bool:
    """Whether the box leaves its image by more than COCO's rounding, a pixel."""
    x, y, w, h = annotation['bbox']
    return x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1


def _find_segmentation_fault(segmentation, width: int, height: int) -> str | None:
    if isinstance(segmentation, dict):
        return _find_run_length_fault(segmentation, width, height)
    if not isinstance(segmentation, list) or not segmentation:
        return 'has no segmentation: give polygons or a run-length mask, which the mask head learns from.'
    for polygon in segmentation:
        if not isinstance(polygon, list) or not _are_numbers(polygon):
            return 'has a polygon that is no list of numbers: give x and y of each point in turn.'
        if len(polygon) < 6 or len(polygon) % 2:
            return 'has a polygon of fewer than three points, x and y each.'
        if not (
            -FAR * width <= min(polygon[::2])
            and max(polygon[::2]) <= (FAR + 1) * width
            and -FAR * height <= min(polygon[1::2])
            and max(polygon[1::2]) <= (FAR + 1) * height
        ):
            return (
                f'has a polygon that runs to {max(polygon, key=abs):g}, in an image of {width}x{height} pixels: '
                'correct or delete it.'
            )
    return None


def _find_run_length_fault(mask: dict, width: int, height: int) -> str | None:
    if mask.get('size') != [height, width]:
        return f'has a mask for {mask.get("size")} (height, width), the image is {[height, width]}.'
    counts = mask.get('counts')
    runs = run_lengths(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not set(map(type, runs)) <= {int} or min(runs, default=-1) < 0:
        return 'has a run-length mask that cannot be decoded: export it again.'
    if sum(runs) != width * height:
        return f'has a run-length mask of {sum(runs):,} pixels, the image has {width * height:,}: export it again.'
    return None


def run_lengths(counts: str) -> list[int] | None:
    """Runs of COCO's compressed text, None where it is none.

    Each run is a little-endian number of five-bit digits, one a character from '0' on; bit 5 says that another follows,
    bit 4 of the last is the sign. From the fourth run on the number is the difference to the run two before.
    """
    digits = np.frombuffer(counts.encode('utf-8', 'replace'), np.uint8).astype(np.int64) - 48
    if not digits.size or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return None
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:  # 32 bits take seven digits
        return None
    place = np.arange(digits.size) - np.repeat(starts, lengths)
    runs = np.add.reduceat((digits & 31) << 5 * place, starts)
    runs -= np.where(digits[ends] & 16, 1 << 5 * lengths, 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs.tolist()


def _are_numbers(values: list) -> bool:
    try:
        return set(map(type, values)) <= NUMBER and math.isfinite(sum(values))  # sum is NaN or inf where one of them is
    except OverflowError:  # an int beyond every float
        return False
