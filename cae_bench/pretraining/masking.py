"""Masks as indices: which patches are visible and which are not, in raster order, and how to take them."""

import torch
from torch import Tensor


def split(mask: Tensor, num_masked: int | None = None) -> tuple[Tensor, Tensor]:
    """(B, N) bool, True = masked -> indices of the visible (B, V) and of the masked patches (B, M), both ascending.

    Args:
        num_masked: masked patches of every row, where known: on a GPU this saves waiting for the mask.
    """
    if num_masked is None:
        num_masked = count(mask)
    order = mask.to(torch.uint8).argsort(dim=1, stable=True)  # zeros first: visible, then masked
    return order[:, : mask.shape[1] - num_masked], order[:, mask.shape[1] - num_masked :]


def count(mask: Tensor) -> int:
    """Masked patches in every row. Raises ValueError where rows differ, or where nothing is masked or visible."""
    counts = mask.sum(1)
    first, patches = int(counts[0]), mask.shape[1]
    if not bool((counts == first).all()):
        raise ValueError(
            f'masks of one batch hide {int(counts.min())} to {int(counts.max())} patches; one number is needed'
        )
    if not 0 < first < patches:
        raise ValueError(f'a mask hides {first} of {patches} patches; hide at least one and leave at least one')
    return first


def pick(tokens: Tensor, index: Tensor) -> Tensor:
    """(B, N, D) or (B, N) and indices (B, n) -> (B, n, D) or (B, n)."""
    if tokens.ndim == 2:
        return tokens.gather(1, index)
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[2]))


def rows(table: Tensor, index: Tensor) -> Tensor:
    """Rows of a position table (1, 1 + N, D) for patch indices (B, n) -> (B, n, D); the class row is passed over."""
    return table[0, 1:].index_select(0, index.flatten()).view(*index.shape, -1)
