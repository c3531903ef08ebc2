"""Block masks: exact, spread as the official ones, the same for the same seed."""

import random

import golden
import numpy as np
import pytest
from scipy import ndimage

from cae_bench.errors import ConfigError
from cae_bench.pretraining.masks import BlockMask, RandomMask

NUMBER = 20000


def drawn(case: dict) -> tuple[np.ndarray, np.ndarray]:
    generator = BlockMask(
        case['grid'],
        case['num_masked'],
        case['min_patches_per_block'],
        case['max_patches_per_block'],
        case['min_aspect'],
    )
    rng = random.Random(1)
    masks, placed = zip(*(generator.draw(rng) for _ in range(NUMBER)))
    return np.array(masks), np.array(placed)


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('masks'))
def test_block_masks_are_spread_as_the_official_ones(name):
    case = golden.record(name)
    masks, placed = drawn(case)
    assert set(masks.sum((1, 2))) == set(case['distinct_counts'])
    difference = np.abs(masks.mean(0) - np.array(case['marginal']))
    assert difference.max() <= 0.025 and difference.mean() <= 0.007
    assert masks.mean(0)[-1].min() > 0 and masks.mean(0)[:, -1].min() > 0  # no row or column is spared
    for (mean, std), values in statistics(masks, placed).items():
        if std is None:
            assert values.mean() == pytest.approx(case[mean], abs=0.005), mean
        else:  # four standard errors of the difference of two means
            error = case[std] * (1 / len(values) + 1 / case['masks']) ** 0.5
            assert abs(values.mean() - case[mean]) <= 4 * error, mean


def statistics(masks: np.ndarray, placed: np.ndarray) -> dict[tuple, np.ndarray]:
    """(name of the mean, of the standard deviation or None) -> one value a mask."""
    some = masks[:3000]  # counting components is slow; a part of them says enough
    across, down = masks[:, :, 1:] == masks[:, :, :-1], masks[:, 1:] == masks[:, :-1]
    return {
        ('mean_blocks_placed', 'std_blocks_placed'): placed,
        ('mean_components_4conn', 'std_components'): np.array([ndimage.label(m)[1] for m in some]),
        ('mean_unmasked_components_4conn', 'std_unmasked_components'): np.array([ndimage.label(~m)[1] for m in some]),
        ('mean_horizontal_neighbour_agreement', None): across.mean((1, 2)),
        ('mean_vertical_neighbour_agreement', None): down.mean((1, 2)),
        ('mean_boundary_edges', 'std_boundary_edges'): (~across).sum((1, 2)) + (~down).sum((1, 2)),
    }


@pytest.mark.golden
@pytest.mark.parametrize('name', golden.each_record('masks'))
def test_the_first_masks_are_those_of_the_official_generator_for_the_same_seed(name):
    case = golden.record(name)
    generator = BlockMask(
        case['grid'],
        case['num_masked'],
        case['min_patches_per_block'],
        case['max_patches_per_block'],
        case['min_aspect'],
    )
    rng = random.Random(case['seed'])
    assert case['first_masks_with_python_random_seed']
    for expected in case['first_masks_with_python_random_seed']:
        assert np.array_equal(generator(rng), np.array(expected, bool).ravel())


def test_random_masks_hide_exactly_as_many_patches_as_asked_and_none_is_spared():
    rng = random.Random(0)
    masks = np.array([RandomMask((4, 4), 12)(rng) for _ in range(400)])
    assert set(masks.sum(1)) == {12} and np.abs(masks.mean(0) - 0.75).max() < 0.1


def test_inexact_block_masks_may_hide_fewer_patches_and_never_more():
    rng = random.Random(0)
    counts = [int(BlockMask((14, 14), 75, exact=False)(rng).sum()) for _ in range(300)]
    assert max(counts) == 75 and np.mean(counts) > 60


@pytest.mark.parametrize('number', [0, 64, 100])
def test_a_count_that_hides_nothing_or_everything_is_refused(number):
    with pytest.raises(ConfigError, match='8x8 has 64 patches; hide 1 to 63'):
        BlockMask((8, 8), number)


@pytest.mark.parametrize('grid, number, block', [((2, 2), 3, 16), ((4, 4), 15, 100), ((3, 3), 8, 16)])
def test_rectangles_that_fit_nowhere_are_refused_instead_of_drawn_for_ever(grid, number, block):
    with pytest.raises(ConfigError, match='smaller mask.min_block'):
        BlockMask(grid, number, min_block=block)
    assert BlockMask(grid, number, min_block=1)(random.Random(0)).sum() == number
