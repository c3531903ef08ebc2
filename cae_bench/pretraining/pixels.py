"""Images as patches of pixels, and back; per-patch normalisation (MAE, arXiv 2111.06377)."""

from torch import Tensor


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """(B, C, H, W) -> (B, N, p * p * C) in raster order; within a patch rows, columns, channels, as MAE has them."""
    b, c, h, w = images.shape
    p = patch_size
    x = images.reshape(b, c, h // p, p, w // p, p)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, (h // p) * (w // p), p * p * c)


def unpatchify(patches: Tensor, patch_size: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of `patchify`."""
    p, (h, w) = patch_size, grid
    x = patches.reshape(len(patches), h, w, p, p, -1)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), -1, h * p, w * p)


def normalised(patches: Tensor) -> Tensor:
    """Each patch less its mean, over its standard deviation (unbiased variance, plus 1e-6)."""
    mean, var = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    return (patches - mean) / (var + 1e-6).sqrt()
