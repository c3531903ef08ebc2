"""Dense networks see the whole image, at any patch: what is padded is cropped again, and every pixel stays in its place."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import PixelData

from cae_bench.errors import ConfigError
from cae_bench.models.patch_sizes import covering, nearest
from cae_bench.models.whole_patches import check_whole, missing, pad
from cae_bench.registry import MODELS

PATCH = 14


class PatchMeans(torch.nn.Module):
    """The mean of every patch of 14 x 14, dropping what fills none, as a convolution of stride 14 does."""

    patch_size = PATCH

    def forward(self, x):
        return (F.avg_pool2d(x, PATCH),)


class Halving(torch.nn.Module):
    coarsest = 2

    def forward(self, maps):
        assert not any(side % 2 for side in maps[0].shape[2:])
        return maps


@pytest.fixture(autouse=True, scope='module')
def parts():
    for module in (PatchMeans, Halving):
        MODELS.register_module(module=module, force=True)


def segmentor(mode='whole', **extra):
    """Its three classes' logits are the three channels, resized to the image."""
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    head = dict(
        type='mmseg.FCNHead',
        in_channels=3,
        in_index=0,
        channels=3,
        num_convs=0,
        concat_input=False,
        num_classes=3,
        dropout_ratio=0,
        norm_cfg=None,
        align_corners=False,
    )
    test = ConfigDict(mode=mode, crop_size=(60, 60), stride=(40, 40))
    model = MODELS.build(
        dict(
            type='cae_bench.Segmentor',
            backbone=dict(type='cae_bench.PatchMeans'),
            decode_head=head,
            train_cfg=dict(),
            test_cfg=test,
            keep_logits=True,
            **extra,
        )
    ).eval()
    with torch.no_grad():
        model.decode_head.conv_seg.weight.copy_(torch.eye(3)[..., None, None])
        model.decode_head.conv_seg.bias.zero_()
    return model


def ramp(height, width):
    """Channel 0 is x, channel 1 is y of the middle of each pixel."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing='ij')
    return torch.stack([x, y, torch.zeros_like(x)])[None]


@pytest.mark.parametrize('mode', ['whole', 'slide'])
@torch.no_grad()
def test_logits_lie_where_the_pixels_lie_and_are_not_stretched(mode):
    image = ramp(60, 100)  # 4.3 x 7.1 patches; slide: windows of 60 x 60
    logits = segmentor(mode).inference(image, [dict(img_shape=(60, 100), ori_shape=(60, 100))])
    assert logits.shape == (1, 3, 60, 100)
    # A ramp of patch means, resized bilinearly, is the ramp between the middles of the first and last whole patch.
    last = 91 if mode == 'whole' else 40  # where the second window begins
    inside = (0, slice(0, 2), slice(7, 49), slice(7, last))
    torch.testing.assert_close(logits[inside], image[inside], rtol=0, atol=1e-3)


@torch.no_grad()
def test_a_pyramid_that_halves_gets_patches_in_pairs():
    image = torch.randn(1, 3, 60, 100)
    model = segmentor(neck=dict(type='cae_bench.Halving'))
    ours = model.encode_decode(image, [dict(img_shape=(60, 100))])
    canvas = pad(image, 84 - 60, 112 - 100)
    whole = segmentor().encode_decode(canvas, [dict(img_shape=(84, 112))])
    assert torch.equal(ours, whole[..., :60, :100])


def test_training_pads_images_with_zeros_and_labels_with_the_ignored_one():
    from mmseg.structures import SegDataSample

    images, labels = torch.randn(2, 3, 60, 100), torch.randint(0, 3, (2, 1, 60, 100))

    def samples(size):
        made = [SegDataSample(metainfo=dict(img_shape=size)) for _ in labels]
        for sample, label in zip(made, F.pad(labels, (0, size[1] - 100, 0, size[0] - 60), value=255)):
            sample.gt_sem_seg = PixelData(data=label)
        return made

    model = segmentor()
    ours = model.loss(images, samples((60, 100)))
    theirs = type(model).loss(model, F.pad(images, (0, 12, 0, 10)), samples((70, 112)))
    assert ours['decode.loss_ce'] == theirs['decode.loss_ce'] and ours['decode.acc_seg'] == theirs['decode.acc_seg']


@torch.no_grad()
def test_whole_patches_are_left_alone_to_the_last_bit():
    image, metas = torch.randn(1, 3, 70, 98), [dict(img_shape=(70, 98))]
    assert missing(image, 28, PATCH) == (0, 0)  # five patches by seven, and nothing is added
    model = segmentor()
    assert torch.equal(model.encode_decode(image, metas), type(model).encode_decode(model, image, metas))


def test_what_is_missing_and_what_lies_nearest():
    x = torch.zeros(1, 3, 512, 600)
    assert missing(x, 14) == (6, 2) and missing(x, 28, 14) == (20, 16) and missing(x, 16) == (0, 8)
    assert tuple(pad(x, 6, 2).shape[2:]) == (518, 602) and pad(x, 0, 0) is x
    assert [nearest(n, 14) for n in (1, 20, 21, 96, 224, 231)] == [14, 14, 28, 98, 224, 238]
    assert [covering(n, 28) for n in (1, 28, 512, 1024)] == [28, 28, 532, 1036]
    assert check_whole(torch.zeros(3, 98, 224), 14) == (7, 16)
    with pytest.raises(ConfigError, match='96 x 224 pixels does not fill patches of 14: give sizes like 98 x 224'):
        check_whole(torch.zeros(3, 96, 224), 14)
