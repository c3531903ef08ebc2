"""Sizes that are whole numbers of patches."""


def nearest(size: int, patch_size: int) -> int:
    """The multiple of a patch, at least one, that lies nearest; the larger of two: 96 -> 98 for patches of 14."""
    return max(1, int(size / patch_size + 0.5)) * patch_size


def covering(size: int, multiple: int) -> int:
    """The smallest multiple that is not below `size`."""
    return -(-size // multiple) * multiple
