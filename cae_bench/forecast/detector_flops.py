"""Arithmetic of Mask R-CNN around its backbone, from its config alone. Multiply-adds count twice."""

DETECTOR = 'mmdet.MaskRCNN'


def detector_flops(model: dict, size: tuple[int, int], boxes: int, masks: int) -> float:
    """Pyramid, RPN and RoI heads for one image (height, width) with so many boxes and masks."""
    cells = [size[0] * size[1] / (16 * scale) ** 2 for scale in (0.25, 0.5, 1, 2)]
    width = model['backbone']['spec']['embed_dims']
    pyramid = _fpn if isinstance(model['neck'], list) else _simple_pyramid
    return 2 * (
        pyramid(model, width, cells)
        + _rpn(model['rpn_head'], [*cells, cells[3] / 4])
        + boxes * _box(model['roi_head']['bbox_head'])
        + masks * _mask(model['roi_head']['mask_head'])
    )


def trained_objects(model: dict) -> tuple[int, int]:
    """(boxes, masks at most) that an image of a training is sampled into."""
    sampler = model['train_cfg']['rcnn']['sampler']
    return sampler['num'], round(sampler['num'] * sampler['pos_fraction'])


def scored_objects(model: dict) -> tuple[int, int]:
    """(boxes, masks), at most, of an image under test."""
    return model['test_cfg']['rpn']['max_per_img'], model['test_cfg']['rcnn']['max_per_img']


def _fpn(model: dict, width: int, cells: list[float]) -> float:
    out = model['neck'][1]['out_channels']
    upscaling = 4 * width * width * (cells[2] + cells[1] + cells[2])  # deconvolutions of 2x2, by input cells
    return upscaling + (width * out + 9 * out * out) * sum(cells)


def _simple_pyramid(model: dict, width: int, cells: list[float]) -> float:
    out = model['neck']['out_channels']
    upscaling = 2 * (width * width * cells[2] + width * width / 4 * cells[1] + width * width * cells[2])
    lateral = sum(part * out * n for part, n in zip((width / 4, width / 2, width, width), cells))
    return upscaling + lateral + 9 * out * out * sum(cells)


def _rpn(head: dict, cells: list[float]) -> float:
    anchors = len(head['anchor_generator']['scales']) * len(head['anchor_generator']['ratios'])
    channels = head['feat_channels']
    convs = 9 * head['in_channels'] * channels + 9 * channels**2 * (head.get('num_convs', 1) - 1)
    return (convs + 5 * anchors * channels) * sum(cells)  # a score and four sides an anchor


def _box(head: dict) -> float:
    """Of one box; Shared2FCBBoxHead has two linear layers and says neither."""
    area, channels, hidden = head['roi_feat_size'] ** 2, head['in_channels'], head['fc_out_channels']
    convs = head.get('num_shared_convs', 0) * 9 * channels**2 * area
    layers = head.get('num_shared_fcs', 2)
    linear = channels * area * hidden + (layers - 1) * hidden**2
    return convs + linear + hidden * (5 * head['num_classes'] + 1)


def _mask(head: dict) -> float:
    """Of one mask of 14 x 14, at last 28 x 28."""
    channels, area = head['conv_out_channels'], 14**2
    return (9 * head['num_convs'] + 4) * channels**2 * area + channels * head['num_classes'] * 4 * area
