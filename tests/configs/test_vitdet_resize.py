"""ViTDet's images are resized as detectron2 does it, by PIL's antialiased bilinear filter; boxes and masks follow."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from cae_bench import compat  # noqa: F401  mmdet alone cannot be imported where mmcv has no compiled ops
from cae_bench.paths import shipped
from cae_bench.registry import TRANSFORMS

HEIGHT, WIDTH = 120, 200


def step(loader: str, number: int, **changes):
    """A step of the recipe's pipeline, built."""
    cfg = Config.fromfile(shipped('configs') / 'vitdet_mask_rcnn/mae_vit-base.py')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return TRANSFORMS.build(dict(cfg[loader].dataset.pipeline[number], **changes))


@pytest.fixture
def sample() -> dict:
    """A checkerboard of pixels, which aliases when it is shrunk carelessly, with one object."""
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import PolygonMasks

    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    board = ((rows + columns) % 2 * 200 + columns // 4).astype(np.uint8)
    polygon = np.array([20.0, 30.0, 100.0, 30.0, 100.0, 90.0, 20.0, 90.0])
    return dict(
        img=np.stack([board, board // 2, 255 - board], -1),
        img_shape=(HEIGHT, WIDTH),
        gt_bboxes=HorizontalBoxes(np.array([[20.0, 30.0, 100.0, 90.0]], np.float32)),
        gt_masks=PolygonMasks([[polygon]], HEIGHT, WIDTH),
    )


@pytest.mark.parametrize(
    'loader, number, changes, size',
    [
        ('train_dataloader', 3, dict(ratio_range=(0.1, 0.1)), (102, 61)),  # 0.1 x 1024 on the long side
        ('train_dataloader', 3, dict(ratio_range=(1.5, 1.5)), (1536, 922)),
        ('val_dataloader', 1, {}, (1024, 614)),
    ],
)
def test_the_image_is_pils_and_boxes_and_masks_follow(sample, loader, number, changes, size):
    image = Image.fromarray(sample['img'])
    out = step(loader, number, **changes)(sample)
    assert np.array_equal(out['img'], np.asarray(image.resize(size, Image.Resampling.BILINEAR)))
    across, down = size[0] / WIDTH, size[1] / HEIGHT
    assert out['scale_factor'] == pytest.approx((across, down))
    scaled = np.array([20 * across, 30 * down, 100 * across, 90 * down])
    assert out['gt_bboxes'].tensor[0].numpy() == pytest.approx(scaled, rel=1e-4)
    points = out['gt_masks'].masks[0][0].reshape(-1, 2)
    assert [*points.min(0), *points.max(0)] == pytest.approx(scaled, rel=1e-2)
    assert (out['gt_masks'].height, out['gt_masks'].width) == out['img'].shape[:2]


def test_a_checkerboard_shrunk_to_half_is_grey_and_not_a_pattern(sample):
    out = step('train_dataloader', 3, ratio_range=(0.1, 0.1))(sample)
    inner = out['img'][5:-5, 5:-5, 0].astype(float)
    assert (inner - np.arange(102)[5:-5] * WIDTH / 102 / 4).std() < 2  # OpenCV leaves 38
