"""The three compiled functions of mmcv that Mask R-CNN calls, with mmcv's signatures and torchvision's kernels."""

import torch
import torchvision.ops  # noqa: F401  registers torch.ops.torchvision

from . import private_names

_kernels = torch.ops.torchvision


def _full(tensor: torch.Tensor) -> torch.Tensor:
    """Half precision to float32: torchvision has bfloat16 nowhere and float16 not on every device."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int = 0) -> torch.Tensor:
    """Indices kept, best score first, of (N, 4) x1 y1 x2 y2 boxes; a box is `x2 - x1 + offset` wide."""
    boxes, scores = _full(boxes), _full(scores)
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)  # the same overlaps, by other words
    return _kernels.nms(boxes, scores.to(boxes.dtype), float(iou_threshold))


def _average_only(pool_mode: int) -> None:
    if pool_mode != 1:
        raise NotImplementedError(
            "RoIAlign with pool_mode='max' needs compiled mmcv ops; the stand-in of cae_bench averages only. "
            "Use pool_mode='avg', or install an mmcv built with ops (MMCV_WITH_OPS=1)."
        )


def roi_align_forward(
    input: torch.Tensor,
    rois: torch.Tensor,
    output: torch.Tensor,
    argmax_y: torch.Tensor,
    argmax_x: torch.Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills `output` (K, C, h, w) from `input` (B, C, H, W) and `rois` (K, 5) = batch index, x1 y1 x2 y2.

    The argmax tensors belong to max mode and stay as they are.
    """
    _average_only(pool_mode)
    features = _full(input)
    output.copy_(
        _kernels.roi_align(
            features, rois.to(features.dtype), spatial_scale, aligned_height, aligned_width, sampling_ratio, aligned
        )
    )


def roi_align_backward(
    grad_output: torch.Tensor,
    rois: torch.Tensor,
    argmax_y: torch.Tensor,
    argmax_x: torch.Tensor,
    grad_input: torch.Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills `grad_input` (B, C, H, W) from `grad_output` (K, C, h, w)."""
    _average_only(pool_mode)
    grad = _full(grad_output)
    grad_input.copy_(
        private_names.roi_align_backward(
            grad,
            rois.to(grad.dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )
