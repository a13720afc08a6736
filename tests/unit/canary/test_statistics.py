"""The tests against what is known of them: exact cases, references, alarm rates under fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from include.canary.counts import compare_counts
from include.canary.statistics import compare_levels, differences_at, reject_dependent
from include.canary.stocks import compare_stocks
from tests.support.canary_world import autoregressive


def test_estimate_is_the_median_of_all_pairwise_differences() -> None:
    rng = np.random.default_rng(1)
    baseline, canary = rng.lognormal(0, 1, (5, 31)), rng.lognormal(0.5, 1, (5, 31))
    exact = np.median((canary[:, :, None] - baseline[:, None, :]).reshape(5, -1), axis=1)
    np.testing.assert_allclose(differences_at(baseline, canary, np.full((5, 1), 0.5))[:, 0], exact)


def test_long_series_are_estimated_closely_from_64_order_statistics() -> None:
    rng = np.random.default_rng(2)
    baseline, canary = rng.normal(0, 1, (5, 480)), rng.normal(0.5, 1, (5, 480))
    exact = np.median((canary[:, :, None] - baseline[:, None, :]).reshape(5, -1), axis=1)
    np.testing.assert_allclose(compare_levels(baseline, canary, 0.98).estimate, exact, atol=0.02)


def test_p_values_agree_with_mann_whitney_where_points_are_independent() -> None:
    rng = np.random.default_rng(3)
    baseline, canary = rng.normal(0, 1, (300, 60)), rng.normal(0.3, 1, (300, 60))
    mine = compare_levels(baseline, canary, 0.98).above
    reference = stats.mannwhitneyu(canary, baseline, axis=1, alternative="greater").pvalue
    assert np.corrcoef(stats.norm.ppf(mine), stats.norm.ppf(reference))[0, 1] > 0.95
    assert np.median(mine) == pytest.approx(np.median(reference), rel=0.4)


@pytest.mark.parametrize(("rho", "bound"), [(0.0, 0.02), (0.5, 0.03)])
def test_identical_series_rarely_differ(rho: float, bound: float) -> None:
    rng = np.random.default_rng(4)
    baseline, canary = autoregressive(rng, rho, (1500, 60)), autoregressive(rng, rho, (1500, 60))
    found = compare_levels(baseline, canary, 0.98)
    assert (np.minimum(found.above, found.below) < 0.005).mean() < bound


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    baseline, canary = rng.normal(10, 1, (1000, 48)), rng.normal(10.5, 1, (1000, 48))
    found = compare_levels(baseline, canary, 0.98)
    covered = ((found.low <= 0.5) & (found.high >= 0.5)).mean()
    assert 0.965 <= covered <= 0.998


def test_counts_without_overdispersion_are_the_exact_binomial_test() -> None:
    # One event at a time, spread evenly and alternating: the variance is below Poisson's, so dispersion stays 1.
    canary, baseline = np.zeros((1, 60)), np.zeros((1, 60))
    canary[0, ::4], baseline[0, ::20] = 1.0, 1.0
    found = compare_counts(baseline, canary, 0.98)
    expected = stats.binomtest(15, 18, alternative="greater").pvalue
    assert found.above[0] == pytest.approx(expected)
    assert found.estimate[0] == pytest.approx(12 / 60)


def test_count_interval_is_clopper_pearson() -> None:
    canary, baseline = np.zeros((1, 60)), np.zeros((1, 60))
    canary[0, ::4], baseline[0, ::20] = 1.0, 1.0
    found = compare_counts(baseline, canary, 0.95)
    exact = stats.binomtest(15, 18).proportion_ci(0.95)
    ratios = [share / (1 - share) for share in (exact.low, exact.high)]
    np.testing.assert_allclose([found.low[0], found.high[0]], [3 / 60 * (ratio - 1) for ratio in ratios])


@pytest.mark.parametrize("rate", [0.05, 0.5, 5.0, 50.0])
def test_identical_counts_rarely_differ(rate: float) -> None:
    rng = np.random.default_rng(6)
    found = compare_counts(rng.poisson(rate, (1500, 48)), rng.poisson(rate, (1500, 48)), 0.98)
    assert (np.minimum(found.above, found.below) < 0.005).mean() < 0.02


def test_a_stock_that_both_sides_share_does_not_creep() -> None:
    rng = np.random.default_rng(7)
    common = np.cumsum(rng.exponential(1.0, 48)) + 80.0
    found = compare_stocks((common + rng.normal(0, 0.1, 48))[None], (common + rng.normal(0, 0.1, 48))[None], 0.98)
    assert abs(found.estimate[0]) < 0.2


def test_step_up_is_benjamini_yekutieli() -> None:
    chances = np.array([0.0001, 0.9, 0.004, 0.03, 0.5])
    adjusted = stats.false_discovery_control(chances, method="by")
    np.testing.assert_array_equal(reject_dependent(chances, 0.05), adjusted <= 0.05)
    assert reject_dependent(np.zeros(0), 0.05).shape == (0,)
