"""The stand-in for compiled mmcv ops: numbers as torchvision's or worked by hand, out of the way if not needed."""

import subprocess
import sys

import pytest
import torch
import torchvision

import cae_bench  # noqa: F401  puts the stand-in in reach
from cae_bench import compat

pytestmark = pytest.mark.skipif(not compat.active(), reason='mmcv has compiled ops here: nothing stands in for them')
DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU'))]
# boxes 0 and 1 overlap with IoU 81 / 119 = 0.68, box 2 lies apart
BOXES = [[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 11.0, 11.0], [20.0, 20.0, 30.0, 30.0]]


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)


def feature_map(dtype=torch.float32, device='cpu'):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 12, 16, generator=generator).to(device, dtype)


ROIS = torch.tensor(
    [
        [0.0, 4.0, 4.0, 40.0, 30.0],
        [1.0, 0.0, 0.0, 63.0, 47.0],
        [1.0, 10.0, 20.0, 10.0, 20.0],
        [0.0, -8.0, -8.0, 90.0, 70.0],
    ]
)


@pytest.mark.parametrize('device', DEVICES)
def test_nms_keeps_the_best_of_overlapping_boxes(device):
    from mmcv.ops import nms

    dets, kept = nms(torch.tensor(BOXES, device=device), torch.tensor([0.8, 0.9, 0.7], device=device), 0.5)
    assert kept.tolist() == [1, 2]
    assert torch.equal(dets.cpu(), torch.tensor([[1.0, 1.0, 11.0, 11.0, 0.9], [20.0, 20.0, 30.0, 30.0, 0.7]]))


def test_nms_counts_the_last_pixel_when_offset_is_one():
    from mmcv.ops import nms

    # widths 4 and 4, overlap 2 x 4: IoU 8 / 24 = 0.333; with offset 1: 5 x 5, overlap 3 x 5: 15 / 35 = 0.429
    boxes, scores = torch.tensor([[0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 6.0, 4.0]]), torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.4, offset=0)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.4, offset=1)[1].tolist() == [0]


def test_nms_drops_scores_at_or_below_the_threshold_and_keeps_the_original_indices():
    from mmcv.ops import nms

    _, kept = nms(torch.tensor(BOXES), torch.tensor([0.3, 0.9, 0.7]), 0.99, score_threshold=0.3, max_num=2)
    assert kept.tolist() == [1, 2]


def test_nms_of_no_boxes_is_empty():
    from mmcv.ops import batched_nms, nms

    dets, kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5) and kept.shape == (0,) and kept.dtype == torch.int64
    # class_agnostic, since mmcv itself takes the maximum of the boxes where classes are told apart
    nothing = torch.zeros(0)
    dets, kept = batched_nms(torch.zeros(0, 4), nothing, nothing, dict(iou_threshold=0.5), class_agnostic=True)
    assert dets.shape == (0, 5) and kept.shape == (0,)


@pytest.mark.parametrize('split_thr', [10000, 2], ids=['one call', 'class by class'])
def test_batched_nms_compares_within_a_class_and_applies_the_score_threshold(split_thr):
    from mmcv.ops import batched_nms

    boxes = torch.tensor(BOXES + BOXES)
    classes = torch.tensor([0, 0, 0, 1, 1, 1])
    scores = torch.tensor([0.8, 0.9, 0.04, 0.6, 0.5, 0.7])
    cfg = dict(type='nms', iou_threshold=0.5, score_threshold=0.05, split_thr=split_thr)
    dets, kept = batched_nms(boxes, scores, classes, cfg)
    assert kept.tolist() == [1, 5, 3]  # 0 and 4 are covered, 2 scores too little
    assert torch.equal(dets, torch.cat([boxes[kept], scores[kept, None]], 1))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_nms_takes_half_precision(dtype):
    from mmcv.ops import nms

    dets, kept = nms(torch.tensor(BOXES).to(dtype), torch.tensor([0.75, 0.875, 0.5]).to(dtype), 0.5)
    assert kept.tolist() == [1, 2] and dets.dtype == dtype


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_roi_align_equals_torchvision_forward_and_backward(aligned, sampling_ratio, device):
    from mmcv.ops import RoIAlign

    rois = ROIS.to(device)
    ours, theirs = (feature_map(device=device).requires_grad_() for _ in range(2))
    got = RoIAlign((3, 5), 0.25, sampling_ratio, aligned=aligned)(ours, rois)
    expected = torchvision.ops.roi_align(theirs, rois, (3, 5), 0.25, sampling_ratio, aligned)
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(device)
    (got * weight).sum().backward()
    (expected * weight).sum().backward()
    assert torch.equal(got, expected)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)
    assert ours.grad.abs().sum() > 0


def test_roi_align_of_a_ramp_is_the_coordinate_of_each_bin_s_centre():
    from mmcv.ops import roi_align

    ramp = torch.arange(16.0).repeat(1, 1, 16, 1)  # the value is the column; pixel x covers x .. x + 1
    rois = torch.tensor([[0.0, 2.0, 4.0, 10.0, 12.0]])
    # bins of width 4 from 2: centres 4 and 8; pixel centres lie at +0.5, hence 3.5 and 7.5 when aligned
    assert roi_align(ramp, rois, (1, 2), 1.0, 0, 'avg', True).flatten().tolist() == [3.5, 7.5]
    assert roi_align(ramp, rois, (1, 2), 1.0, 0, 'avg', False).flatten().tolist() == [4.0, 8.0]
    twice = rois * torch.tensor([1.0, 2.0, 2.0, 2.0, 2.0])
    assert roi_align(ramp, twice, (1, 2), 0.5, 0, 'avg', True).flatten().tolist() == [3.5, 7.5]


def test_roi_align_of_no_boxes_is_empty_and_its_gradient_zero():
    from mmcv.ops import roi_align

    features = feature_map().requires_grad_()
    got = roi_align(features, torch.zeros(0, 5), (7, 7), 0.25)
    assert got.shape == (0, 3, 7, 7)
    got.sum().backward()
    assert torch.equal(features.grad, torch.zeros_like(features))


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_roi_align_in_half_precision_is_the_float_result_rounded(dtype, device):
    from mmcv.ops import roi_align

    half = feature_map(dtype, device).requires_grad_()
    full = half.detach().float().requires_grad_()
    got = roi_align(half, ROIS.to(device, dtype), (3, 5), 0.25)
    expected = roi_align(full, ROIS.to(device), (3, 5), 0.25)
    got.sum().backward()
    expected.sum().backward()
    assert got.dtype == half.grad.dtype == dtype
    assert torch.equal(got, expected.to(dtype)) and torch.equal(half.grad, full.grad.to(dtype))


def test_max_mode_says_what_to_do():
    from mmcv.ops import roi_align

    with pytest.raises(NotImplementedError, match="pool_mode='max' needs compiled mmcv ops.*Use pool_mode='avg'"):
        roi_align(feature_map(), ROIS, (3, 5), 0.25, 0, 'max')


def test_an_op_that_is_not_there_fails_by_name_when_called_and_not_before():
    from mmcv.ops import SigmoidFocalLoss, sigmoid_focal_loss

    SigmoidFocalLoss(2.0, 0.25)
    with pytest.raises(NotImplementedError, match="op 'sigmoid_focal_loss_forward' needs compiled .*MMCV_WITH_OPS=1"):
        sigmoid_focal_loss(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))


def test_mmengine_finds_the_stand_in_by_its_spec():
    from mmengine.utils.dl_utils.misc import mmcv_full_available

    assert mmcv_full_available()


def test_importing_cae_bench_imports_neither_torch_nor_mmcv():
    done = run("import sys, cae_bench; print([m for m in ('torch', 'mmcv', 'mmengine') if m in sys.modules])")
    assert done.stdout.strip() == '[]', done.stderr


def test_compiled_ops_win_when_they_are_installed(tmp_path):
    package = tmp_path / 'mmcv'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / '_ext.py').write_text('compiled = True')
    done = run(
        f'import sys; sys.path.insert(0, {str(tmp_path)!r}); import cae_bench; from cae_bench import compat; '
        'import mmcv._ext; print(mmcv._ext.compiled, compat.active())'
    )
    assert done.stdout.strip() == 'True False', done.stderr


def test_installing_twice_puts_one_finder_at_the_end():
    before = list(sys.meta_path)
    compat.install()
    assert sys.meta_path == before


def test_any_script_runs_with_the_ops_in_place(tmp_path):
    script = tmp_path / 'tool.py'
    script.write_text(
        'import sys, torch\nfrom mmcv.ops import nms\nimport beside\nassert __name__ == "__main__"\n'
        'print(sys.argv[1:], nms(torch.tensor([[0., 0, 1, 1]]), torch.ones(1), 0.5)[1].tolist())'
    )
    (tmp_path / 'beside.py').touch()
    command = [sys.executable, '-m', 'cae_bench.compat', str(script), '--flag', '3']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "['--flag', '3'] [0]", done.stderr


def test_a_missing_script_is_named():
    done = subprocess.run([sys.executable, '-m', 'cae_bench.compat', 'absent.py'], capture_output=True, text=True)
    assert done.returncode != 0 and 'absent.py: no such script' in done.stderr
