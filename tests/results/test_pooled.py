"""Two models over images and seeds: worked by hand, and how often luck alone is called significant."""

import numpy as np
import pytest

from cae_bench.results import compare, explain, write_record
from cae_bench.results.differences import differences
from cae_bench.statistics.paired import Gap
from cae_bench.statistics.pooled import pooled_gap


def interval(a, b, covariance, images=1000):
    gap = pooled_gap(np.array(a, float), np.array(b, float), np.array(covariance, float), images)
    low, high = gap.ci95
    return pytest.approx((low + high) / 2), (high - low) / 2, gap.p


def test_seeds_alone_are_welchs_test():
    # s^2 of A is 8, of B 0: V = 8 / 2 = 4, one degree of freedom, whose 97.5 % point is 12.706; gap 2 = one error: p = 1/2
    middle, half, p = interval([50, 54], [50, 50], np.zeros((4, 4)))
    assert (middle, half, p) == (2, pytest.approx(2 * 12.7062, abs=1e-3), pytest.approx(0.5))


def test_images_alone_are_those_of_the_averaged_models():
    # seeds that agree image by image: V = 4 + 5 whatever their number, 100 degrees of freedom with 1.984
    covariance = np.kron(np.diag([4, 5]), np.ones((2, 2)))
    middle, half, p = interval([60, 60], [50, 50], covariance, images=101)
    assert (middle, half) == (10, pytest.approx(3 * 1.98397, abs=1e-3)) and p == pytest.approx(0.00122, abs=1e-4)


def test_what_images_explain_of_the_seeds_is_not_counted_twice():
    # A's seeds differ by 4 (s^2 8) and each varies over images by 8 on its own: V = (8 + 8) / 4 = 4, and nothing more
    covariance = np.diag([8, 8, 0, 0])
    assert interval([52, 48], [50, 50], covariance, images=10**6)[1] == pytest.approx(2 * 1.95996, abs=1e-3)
    # seeds that differ by 8 (s^2 32) have 16 - 4 in excess: V = 4 + 12
    assert interval([54, 46], [50, 50], covariance)[1] > 4 * 1.96


def test_a_single_seed_is_taken_to_vary_as_the_others_do():
    # s^2 of B is 8: V = 8 (1 + 1/2) = 12 with one degree of freedom
    assert interval([50], [48, 52], np.zeros((3, 3)))[1] == pytest.approx(12.7062 * 12**0.5, abs=1e-3)


def test_where_nothing_varies_the_number_of_images_decides():
    assert pooled_gap(np.array([9.0, 9.0]), np.array([9.0]), np.zeros((3, 3)), 5) == Gap((0, 0), 1)
    assert pooled_gap(np.array([9.0, 9.0]), np.array([8.0]), np.zeros((3, 3)), 5) == Gap((1, 1), 2 / 2**5)


def outcomes(rng, runs, images=300, model=0.0, seed=0.0, noise=0.0):
    """Right or wrong for two equally good models: images are hard for both, or for one, or for one run; seeds are luck."""
    hard = rng.normal(0, 1, images)
    return [
        hard + rng.normal(0, model, images) + rng.normal(0, seed, (n, 1)) + rng.normal(0, noise, (n, images)) > 0
        for n in runs
    ]


def false_alarms(runs, draws=1500, **luck):
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(draws):
        a, b = (100.0 * part for part in outcomes(rng, runs, **luck))
        gap = pooled_gap(a.mean(1), b.mean(1), np.cov(np.vstack([a, b])) / 300, 300)
        low, high = gap.ci95
        assert (gap.p < 0.05) == (not low <= 0 <= high)
        found += gap.p < 0.05
    return found / draws


@pytest.mark.parametrize(
    'luck',
    [dict(model=0.7), dict(seed=0.2, model=0.1, noise=0.1), dict(seed=0.05, model=0.5, noise=0.5)],
    ids=['images', 'seeds', 'both'],
)
@pytest.mark.parametrize('runs', [(3, 3), (2, 2), (5, 3), (1, 3)])
def test_one_difference_in_twenty_is_significant_by_luck_alone(runs, luck):
    assert 0.03 <= false_alarms(runs, **luck) <= 0.075


def test_runs_that_differ_at_random_image_by_image_are_not_called_different_more_often():
    assert 0.02 <= false_alarms((3, 3), noise=1.0) <= 0.05


def test_drawing_three_seeds_with_replacement_calls_luck_significant_far_more_often():
    """Why this is not a bootstrap over seeds."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(120):
        a, b = outcomes(rng, (3, 3), seed=0.2, model=0.1, noise=0.1)
        images = rng.integers(0, 300, (200, 300))
        gaps = [a[rng.integers(0, 3, 3)][:, i].mean() - b[rng.integers(0, 3, 3)][:, i].mean() for i in images]
        low, high = np.percentile(gaps, [2.5, 97.5])
        found += not low <= 0 <= high
    assert found / 120 > 0.1


def test_a_true_difference_is_found():
    rng = np.random.default_rng(0)
    a, b = (100.0 * part for part in outcomes(rng, (3, 3), images=1000, model=0.5, noise=0.5))
    b[:, :100] = 0
    found = pooled_gap(a.mean(1), b.mean(1), np.cov(np.vstack([a, b])) / 1000, 1000)
    (low, high), gap = found.ci95, a.mean() - b.mean()
    assert 0 < low < gap < high < gap + 5 and found.p < 0.01


@pytest.fixture
def put(make, tmp_path):
    def write(columns, **fields):
        return make(**fields, path=write_record(tmp_path, make(**fields), columns))

    return write


def correct(right, images=100, order=1):
    return {
        'image': [f'{i}.jpg' for i in range(images)][::order],
        'correct': [i < right for i in range(images)][::order],
    }


def test_all_seeds_of_both_models_are_pooled_image_by_image(put, tmp_path):
    for seed, right in enumerate((60, 62, 64)):
        put(correct(right, order=(-1) ** seed), model='a', value=float(right), seed=seed)
    for seed, right in enumerate((50, 54)):
        put(correct(right), model='b', value=float(right), seed=seed, sha256='b' * 64)
    (pair,) = compare('a', 'b', tmp_path)
    (difference,) = pair.differences
    assert (difference.a, difference.b) == (62, 52) and difference.test == 'paired over 100 images and 3 + 2 seeds'
    # by hand: u'Cu, then the seeds, less what the images already hold of them
    y = np.array([[i < right for i in range(100)] for right in (60, 62, 64, 50, 54)]) * 100.0
    c, u = np.cov(y) / 100, np.array([1, 1, 1, -1.5, -1.5]) / 3
    known_a, known_b = (
        (np.trace(c[:3, :3]) - c[:3, :3].sum() / 3) / 2 / 3,
        (np.trace(c[3:, 3:]) - c[3:, 3:].sum() / 2) / 2,
    )
    variance = u @ c @ u + max(0, 4 / 3 + 8 / 2 - known_a - known_b)
    assert variance > u @ c @ u
    free = variance**2 / ((u @ c @ u) ** 2 / 99 + (4 / 3) ** 2 / 2 + (8 / 2) ** 2 / 1)
    from scipy.stats import t

    half = t.ppf(0.975, free) * variance**0.5
    assert difference.ci95 == pytest.approx((10 - half, 10 + half))
    said = explain([pair])
    assert 'A = a (3 seeds: 0, 1, 2), B = b (2 seeds: 0, 1)' in said and 'warning' not in said


def test_how_many_seeds_stand_on_each_side_is_said(put, tmp_path):
    for seed in range(2):
        put(correct(60 + seed), model='a', value=60.0 + seed, seed=seed)
    put(correct(50), model='b', value=50.0, seed=7, sha256='b' * 64)
    said = explain(compare('a', 'b', tmp_path))
    assert 'A = a (2 seeds: 0, 1), B = b (seed 7)' in said
    assert '  warning: B has one seed: its seeds are taken to vary as those of A' in said
    assert '1 + 2 seeds' in explain(compare('b', 'a', tmp_path))
    put(correct(50), model='c', value=50.0, sha256='c' * 64)
    assert 'warning: one seed each: the interval is over images alone' in explain(compare('b', 'c', tmp_path))


def test_runs_of_different_code_are_warned_about(put, tmp_path):
    old, new = ({'commit': letter * 40, 'dirty': False} for letter in 'de')
    for seed, git in enumerate((old, new)):
        put(correct(60), model='a', seed=seed, git=git)
        put(correct(50), model='b', seed=seed, git=new, packages={'torch': '2.13.0'}, sha256='b' * 64)
    said = explain(compare('a', 'b', tmp_path))
    assert '  warning: seeds of A were scored by different code, commit dddddddd (seed 0) and eeeeeeee (seed 1)' in said
    assert (
        '  differs: commit: dddddddd, eeeeeeee and eeeeeeee' in said and '  differs: torch: 2.12.0 and 2.13.0' in said
    )
    put(correct(50), model='c', git=old, sha256='c' * 64)
    put(correct(50), model='d', git=new, sha256='d' * 64)
    assert '  warning: A and B were scored by different code, commit dddddddd and eeeeeeee' in explain(
        compare('c', 'd', tmp_path)
    )


def test_seeds_that_agree_have_the_interval_of_one_run(put):
    """Deterministic: pooling three equal runs must not make the interval narrower."""
    rng = np.random.default_rng(0)

    def columns(shift):
        found = np.minimum(90, rng.integers(20, 80, (60, 2)) + shift).tolist()
        return {'image': [f'{i}' for i in range(60)], 'intersection': found, 'union': [[100, 100]] * 60}

    ours, theirs = columns(3), columns(0)
    one = put(ours, task='scenes/upernet', model='a'), put(theirs, task='scenes/upernet', model='b', sha256='b' * 64)
    more = [
        [put(c, task='scenes/upernet', model=m, sha256=s * 64, seed=seed) for seed in range(3)]
        for c, m, s in ((ours, 'a', 'a'), (theirs, 'b', 'b'))
    ]
    (single,) = differences(one[:1], one[1:])
    (pooled,) = differences(*more)
    # a half-width of normal draws; 'value' is the same 50 on both sides, so the pooled interval lies around 0
    assert pooled.ci95[1] - pooled.ci95[0] == pytest.approx(single.ci95[1] - single.ci95[0], rel=0.05)
    assert pooled.test == 'paired bootstrap over 60 images, 3 + 3 seeds'


def test_without_images_the_intervals_of_all_seeds_decide(make):
    a = [make(value=53.0 + seed, ci95=(47.0, 59.0), seed=seed) for seed in (0, 2)]
    b = [make(model='b', value=50.0, ci95=(42.0, 58.0), seed=seed) for seed in (0, 1)]
    (difference,) = differences(a, b)  # half-widths 6 and 8: 10 together; seeds add 2 / 2 = 1 to 5.1^2
    assert difference.ci95[1] - 4 == pytest.approx(1.972 * ((10 / 1.96) ** 2 + 1) ** 0.5, rel=2e-3)
    assert difference.test.startswith('2 + 2 seeds, two intervals as if from different images')
