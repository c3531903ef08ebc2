"""Position tables against recorded values of the official code and against hand-worked ones."""

import golden
import numpy as np
import pytest
import torch

from cae_bench.checkpoints import resize


def grid_of_name(name):
    """'20x30' or '32' -> (rows, columns)."""
    sides = [int(n) for n in name.split('x')]
    return (sides[0], sides[-1])


@pytest.fixture(params=golden.each('positions'))
def recorded(request):
    case = golden.case(request.param)
    return case, {k: torch.from_numpy(v) for f in golden.held(case, '.npz') for k, v in golden.arrays(f).items()}


def close(actual, expected, case, about):
    tol = golden.tolerance(case['tolerance'], about)
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), **tol)


@pytest.mark.golden
def test_sincos_table_is_the_recorded_one(recorded):
    case, arrays = recorded
    tables = [k for k in arrays if k.startswith('sincos_') and '_to_' not in k]
    assert tables
    for name in tables:
        grid = grid_of_name(name.split('_')[1])
        close(resize.sincos_2d(case['dims']['embed_dim'], grid), arrays[name], case, 'sin-cos')


@pytest.mark.golden
def test_absolute_tables_resize_like_the_loaders_and_the_detection_forward(recorded):
    case, arrays = recorded
    compared = 0
    for name, expected in arrays.items():
        kind, _, rest = name.partition('_to_')
        if not rest or kind.startswith('rel_table'):
            continue
        src, dst = grid_of_name(kind.split('_')[1]), grid_of_name(rest.split('_')[0])
        rule = resize.resize_abs_pos_scale_factor if 'scale_factor' in rest else resize.resize_abs_pos
        close(rule(arrays[kind], src, dst), expected, case, 'learned')
        compared += 1
    assert compared


@pytest.mark.golden
def test_relative_tables_resize_by_a_spline_over_a_geometric_grid(recorded):
    case, arrays = recorded
    pairs = [name for name in arrays if name.startswith('rel_table') and '_to_' in name]
    assert pairs
    for name in pairs:
        source, dst = name.split('_to_')
        src = grid_of_name(source.rsplit('_', 1)[1])
        close(resize.resize_rel_pos(arrays[source], src, grid_of_name(dst)), arrays[name], case, 'relative')


@pytest.mark.golden
def test_relative_index_of_a_rectangular_window_is_the_recorded_one(recorded):
    _, arrays = recorded
    indices = [k for k in arrays if k.startswith('relative_position_index_')]
    assert indices
    for name in indices:
        assert torch.equal(resize.relative_position_index(grid_of_name(name.rsplit('_', 1)[1])), arrays[name])


def test_first_half_of_the_channels_encodes_the_row_for_cae_and_the_column_for_mae():
    row, col = (resize.sincos_2d(8, (2, 3), order, cls_token=False).reshape(2, 3, 8) for order in ('row', 'col'))
    assert torch.equal(row[:, 0, :4], row[:, 2, :4]) and not torch.equal(row[0, :, :4], row[1, :, :4])
    assert torch.equal(col[0, :, :4], col[1, :, :4])
    assert torch.equal(torch.cat([col[..., 4:], col[..., :4]], -1), row)
    assert row[1, 0, :4].tolist() == pytest.approx([np.sin(1), np.sin(0.01), np.cos(1), np.cos(0.01)])


def test_class_row_and_extra_rows_are_copied_when_tables_are_resized():
    pos, table = torch.randn(1, 17, 8), torch.randn(7 * 7 + 3, 2)
    assert torch.equal(resize.resize_abs_pos(pos, (4, 4), (3, 6))[:, 0], pos[:, 0])
    assert resize.resize_abs_pos_scale_factor(pos, (4, 4), (3, 6)).shape == (1, 19, 8)
    larger = resize.resize_rel_pos(table, (4, 4), (3, 6))
    assert larger.shape == (5 * 11 + 3, 2) and torch.equal(larger[-3:], table[-3:])


def test_a_table_that_is_not_of_the_named_grid_is_an_error():
    with pytest.raises(ValueError, match='18 positions is not one of a 4x4 grid'):
        resize.resize_abs_pos(torch.zeros(1, 18, 8), (4, 4), (5, 5))
    with pytest.raises(ValueError, match='50 rows is not one of a 4x4 grid'):
        resize.resize_rel_pos(torch.zeros(50, 2), (4, 4), (5, 5))
