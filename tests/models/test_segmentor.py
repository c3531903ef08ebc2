"""Segmentor: mmseg's own predictions, bit by bit, and a bound on the memory that making them takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData

import cae_bench.registry  # noqa: F401
from cae_bench.models.segmentor import largest
from cae_bench.registry import MODELS


def model(kind, mode, classes=7, **extra):
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    head = dict(
        type='mmseg.FCNHead',
        in_channels=3,
        in_index=0,
        channels=8,
        num_convs=1,
        concat_input=False,
        num_classes=classes,
        dropout_ratio=0,
        norm_cfg=None,
        align_corners=False,
    )
    test = ConfigDict(mode=mode, crop_size=(32, 32), stride=(21, 21))
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type=kind,
            backbone=dict(type='cae_bench.EveryFourthPixel'),
            decode_head=head,
            train_cfg=dict(),
            test_cfg=test,
            **extra,
        )
    ).eval()


@pytest.fixture(autouse=True, scope='module')
def backbone():
    class EveryFourthPixel(torch.nn.Module):
        def forward(self, x):
            return (x[:, :, ::4, ::4],)

    MODELS.register_module(module=EveryFourthPixel, force=True)


def samples(*metas):
    from mmseg.structures import SegDataSample

    made = []
    for meta in metas:
        made.append(SegDataSample(metainfo=dict(ori_shape=(97, 131), img_shape=(60, 80), **meta)))
        made[-1].gt_sem_seg = PixelData(data=torch.zeros(1, 97, 131, dtype=torch.long))
    return made


METAS = (
    {},
    dict(flip=True, flip_direction='horizontal'),
    dict(flip=True, flip_direction='vertical'),
    dict(img_padding_size=(0, 6, 0, 4)),
    dict(padding_size=(2, 0, 3, 0)),
)


@pytest.mark.parametrize('mode', ['slide', 'whole'])
@torch.no_grad()
def test_predictions_equal_mmseg_s_for_padded_and_mirrored_images_of_a_batch(mode):
    images = torch.randn(len(METAS), 3, 60, 80)
    theirs = model('mmseg.EncoderDecoder', mode).predict(images, samples(*METAS))
    ours = model('cae_bench.Segmentor', mode).predict(images, samples(*METAS))
    for a, b in zip(ours, theirs):
        assert torch.equal(a.pred_sem_seg.data, b.pred_sem_seg.data) and a.pred_sem_seg.data.dtype == torch.int64
        assert 'seg_logits' not in a and len(a.pred_sem_seg.data.unique()) > 2


@torch.no_grad()
def test_logits_are_kept_where_views_are_to_be_averaged():
    images = torch.randn(1, 3, 60, 80)
    theirs, ours = (
        model(kind, 'slide', **extra).predict(images, samples({}))[0].seg_logits.data
        for kind, extra in (('mmseg.EncoderDecoder', {}), ('cae_bench.Segmentor', dict(keep_logits=True)))
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize('at_once', [1, 3 * 4 * 97 * 131, 7 * 4 * 97 * 131, 10**9])
def test_classes_chosen_in_parts_are_those_chosen_at_once_also_among_equals(at_once):
    logits = torch.randint(0, 4, (10, 24, 32)).float()  # coarse values: ties everywhere
    whole = torch.nn.functional.interpolate(logits[None], (97, 131), mode='bilinear', align_corners=False)[0]
    assert torch.equal(largest(logits, (97, 131), at_once=at_once), whole.argmax(0))
    assert (whole == whole.max(0).values).sum(0).max() > 1


PEAK = """
from pathlib import Path
import torch
from cae_bench.models.segmentor import largest

def peak():
    return next(1024 * int(x.split()[1]) for x in Path('/proc/self/status').open() if x.startswith('VmHWM'))

logits = torch.randn(150, 64, 64)
largest(logits, (20, 15))
Path('/proc/self/clear_refs').write_text('5')
before = peak()
largest(logits, {size}, at_once={at_once})
print(peak() - before)
"""


@pytest.mark.skipif(not Path('/proc/self/clear_refs').exists(), reason='the peak is measured through /proc')
def test_memory_stays_below_a_bound_that_a_single_tensor_of_all_logits_would_break():
    size, at_once = (2000, 1500), 2**26
    # A process of its own, giving back at once what it frees: else the peak depends on what ran before.
    done = subprocess.run(
        [sys.executable, '-c', PEAK.format(size=size, at_once=at_once)],
        text=True,
        check=True,
        stdout=subprocess.PIPE,
        env=dict(os.environ, MALLOC_MMAP_THRESHOLD_='65536'),
    )
    pixels = size[0] * size[1]
    assert at_once / 2 < int(done.stdout) < at_once + 40 * pixels < 150 * 4 * pixels / 9


def test_windows_are_mmseg_s():
    from cae_bench.models.segmentor import _windows

    for length, crop, stride in ((512, 512, 341), (683, 512, 341), (2048, 512, 341), (300, 512, 341), (853, 512, 341)):
        windows = list(_windows(length, crop, stride))
        number = max(length - crop + stride - 1, 0) // stride + 1
        starts = [min(i * stride, max(length - crop, 0)) for i in range(number)]
        assert [w.start for w in windows] == starts and windows[-1].stop == length
