"""Norm layers by mmcv's names ('BN', 'SyncBN', 'LN', ...)."""

from torch import nn


def build_norm(norm_cfg: dict | None, channels: int) -> nn.Module:
    """A norm over `channels`; without a config BatchNorm with torch's epsilon, 1e-5."""
    from mmcv.cnn import build_norm_layer  # here: a backbone alone is built and used where mmcv is not installed

    return build_norm_layer(norm_cfg or dict(type='BN'), channels)[1]
