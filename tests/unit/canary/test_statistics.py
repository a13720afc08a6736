"""The tests against what is known of them: exact cases, references, alarm rates under fixed seeds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import special, stats

from include.canary import kernel
from include.canary.counts import compare_counts, units_of
from include.canary.levels import compare_levels
from include.canary.ranks import score
from include.canary.statistics import Deviation, Findings, Floats
from include.canary.stocks import compare_stocks
from tests.support.canary_world import autoregressive


def levels(baseline: Floats, canary: Floats, confidence: float = 0.98) -> Findings:
    return compare_levels(score(baseline, canary), confidence)


def counts(baseline: Floats, canary: Floats, confidence: float = 0.98) -> Findings:
    even = np.full(len(baseline), 0.5)
    return compare_counts(baseline, canary, np.ones(len(baseline)), even, confidence)


def deviation(found: Findings, test: str, *, upward: bool) -> Deviation:
    return next(one for one in found.deviations if one.test == test and one.upward is upward)


def alarms(found: Findings, rate: float) -> Floats:
    """Which metrics would be flagged at a total alarm rate, were nothing allowed."""
    return np.logical_or.reduce([one.chance <= one.part * rate for one in found.deviations])


def test_estimate_is_the_median_of_all_pairwise_differences() -> None:
    rng = np.random.default_rng(1)
    baseline, canary = rng.lognormal(0, 1, (5, 31)), rng.lognormal(0.5, 1, (5, 31))
    exact = np.median((canary[:, :, None] - baseline[:, None, :]).reshape(5, -1), axis=1)
    np.testing.assert_allclose(levels(baseline, canary).estimate, exact, rtol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 7), (128, 128), (60, 33)])
def test_order_statistics_of_differences_are_exact(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    for digits in (15, 1):  # with and without ties
        low, high = np.sort(rng.gamma(2, 1, n).round(digits)), np.sort(rng.gamma(2, 1, m).round(digits))
        ranked = np.full((1, 2, max(n, m)), np.nan)
        ranked[0, 0, :n], ranked[0, 1, :m] = low, high
        wanted = np.array([[0.0, 0.45, 0.5, 0.55, 1.0]])
        found = np.zeros_like(wanted)
        kernel.differences_at(ranked, np.array([[n, m]]), wanted, found)
        ordered = np.sort((high[None, :] - low[:, None]).ravel())
        places = wanted[0] * (n * m - 1)
        expected = 0.5 * (ordered[np.floor(places).astype(int)] + ordered[np.ceil(places).astype(int)])
        np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=1e-12)


def test_long_series_are_estimated_closely_from_128_order_statistics() -> None:
    rng = np.random.default_rng(2)
    baseline, canary = rng.normal(0, 1, (5, 480)), rng.normal(0.5, 1, (5, 480))
    exact = np.median((canary[:, :, None] - baseline[:, None, :]).reshape(5, -1), axis=1)
    np.testing.assert_allclose(levels(baseline, canary).estimate, exact, atol=0.01)


def test_superiority_is_mann_whitneys_statistic_with_ties_and_gaps() -> None:
    rng = np.random.default_rng(3)
    baseline, canary = rng.integers(0, 9, (4, 50)).astype(float), rng.integers(1, 10, (4, 50)).astype(float)
    baseline[:, ::7], canary[:, 3::11] = np.nan, np.nan
    expected = stats.mannwhitneyu(canary, baseline, axis=1, nan_policy="omit").statistic
    n, m = (~np.isnan(baseline)).sum(axis=1), (~np.isnan(canary)).sum(axis=1)
    np.testing.assert_allclose(score(baseline, canary).superiority, expected / (n * m))


def test_p_values_agree_with_mann_whitney_where_points_are_independent() -> None:
    rng = np.random.default_rng(3)
    baseline, canary = rng.normal(0, 1, (300, 60)), rng.normal(0.3, 1, (300, 60))
    mine = deviation(levels(baseline, canary), "level", upward=True).chance
    reference = stats.mannwhitneyu(canary, baseline, axis=1, alternative="greater").pvalue
    assert np.corrcoef(stats.norm.ppf(mine), stats.norm.ppf(reference))[0, 1] > 0.95
    assert np.median(mine) == pytest.approx(np.median(reference), rel=0.4)


def test_few_points_are_compared_by_every_permutation() -> None:
    pooled = np.array([3.0, 1.0, 2.0, 2.0, 9.0, 8.0, 7.0, 2.0])
    ranks = stats.rankdata(pooled)
    seen = ranks[4:].sum()
    sums = [ranks[list(chosen)].sum() for chosen in combinations(range(8), 4)]
    found = deviation(levels(pooled[None, :4], pooled[None, 4:]), "level", upward=True)
    assert found.chance[0] == pytest.approx(np.mean([total >= seen for total in sums]))


@pytest.mark.parametrize(("rho", "points"), [(0.0, 50), (0.5, 60), (0.9, 50), (0.9, 480)])
def test_identical_series_rarely_differ(rho: float, points: int) -> None:
    rng = np.random.default_rng(4)
    found = levels(autoregressive(rng, rho, (3000, points)), autoregressive(rng, rho, (3000, points)))
    assert alarms(found, 0.008).mean() <= 0.02


@pytest.mark.parametrize("rho", [0.0, 0.9])
@pytest.mark.parametrize("rate", [0.05, 0.5, 5.0])
def test_identical_counts_rarely_differ(rate: float, rho: float) -> None:
    rng = np.random.default_rng(6)
    sides = [stats.poisson.ppf(special.ndtr(autoregressive(rng, rho, (3000, 60))), rate) for _ in range(2)]
    assert alarms(counts(*sides), 0.008).mean() <= 0.025


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    baseline, canary = rng.normal(10, 1, (1000, 48)), rng.normal(10.5, 1, (1000, 48))
    found = levels(baseline, canary)
    covered = ((found.low <= 0.5) & (found.high >= 0.5)).mean()
    assert 0.965 <= covered <= 0.998


def test_a_tail_that_no_median_shows_is_found() -> None:
    rng = np.random.default_rng(7)
    baseline, canary = rng.gamma(9, 1, (50, 180)), rng.gamma(9, 1, (50, 180))
    canary[:, ::10] *= 100.0
    tail = deviation(levels(baseline, canary), "tail", upward=True)
    assert (tail.chance < 0.001).mean() >= 0.9
    assert (tail.share > 10.0).all()


def test_a_wider_spread_about_the_same_median_is_found() -> None:
    rng = np.random.default_rng(8)
    found = levels(rng.normal(100, 1, (50, 60)), rng.normal(100, 4, (50, 60)))
    assert (deviation(found, "spread", upward=True).chance < 0.0008).mean() >= 0.95
    assert (deviation(found, "level", upward=True).chance > 0.0016).mean() >= 0.9


def test_a_great_shift_of_a_smooth_series_is_told_from_chance() -> None:
    rng = np.random.default_rng(9)
    smooth = [100.0 + autoregressive(rng, 0.95, (100, 180)) for _ in range(2)]
    shifted = deviation(levels(smooth[0], smooth[1] + 60.0), "level", upward=True)
    assert (shifted.chance < 0.0016).mean() >= 0.9


def test_counts_without_overdispersion_are_compared_by_their_roots() -> None:
    # One event at a time, spread evenly and alternating: the variance is below Poisson's, so dispersion stays 1.
    canary, baseline = np.zeros((1, 60)), np.zeros((1, 60))
    canary[0, ::4], baseline[0, ::20] = 1.0, 1.0
    found = counts(baseline, canary)
    statistic = np.sqrt(2.0) * (np.sqrt(15.375) - np.sqrt(3.375))
    assert deviation(found, "count", upward=True).chance[0] == pytest.approx(stats.norm.sf(statistic), rel=1e-3)
    assert found.estimate[0] == pytest.approx(12 / 60)


def test_count_interval_is_clopper_pearson() -> None:
    canary, baseline = np.zeros((1, 60)), np.zeros((1, 60))
    canary[0, ::4], baseline[0, ::20] = 1.0, 1.0
    found = counts(baseline, canary, 0.95)
    exact = stats.binomtest(15, 18).proportion_ci(0.95)
    ratios = [share / (1 - share) for share in (exact.low, exact.high)]
    np.testing.assert_allclose([found.low[0], found.high[0]], [3 / 60 * (ratio - 1) for ratio in ratios])


def test_what_counts_as_events() -> None:
    rng = np.random.default_rng(10)
    rows = {
        "errors": rng.poisson(0.3, 60).astype(float),
        "errors a second": rng.poisson(0.3, 60) / 60.0,
        "latency": rng.gamma(9, 10, 60),
        "whole milliseconds": rng.gamma(9, 10, 60).round(),
        "threads": np.full(60, 12.0),
        "temperature": rng.integers(-5, 5, 60).astype(float),
        "silence": np.zeros(60),
    }
    series = np.stack(list(rows.values()))
    found = dict(zip(rows, units_of(series, series), strict=True))
    assert found["errors"] == 1.0
    assert found["errors a second"] == pytest.approx(1 / 60)
    assert not any(found[name] for name in ("latency", "whole milliseconds", "threads", "temperature", "silence"))


def test_a_stock_that_both_sides_share_does_not_creep() -> None:
    rng = np.random.default_rng(7)
    common = np.cumsum(rng.exponential(1.0, 48)) + 80.0
    sides = [(common + rng.normal(0, 0.1, 48))[None] for _ in range(2)]
    assert abs(compare_stocks(*sides, np.array([0.5]), 0.98).estimate[0]) < 0.2
