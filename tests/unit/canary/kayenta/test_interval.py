"""The exact interval against a slow inversion of the test, and at every scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from include.canary.kayenta.classify import Options, Word, classify
from include.canary.kayenta.interval import Root, StepFunction, find_shift

SHAPES = {
    "normal": lambda rng, n: rng.normal(10.0, 1.0, n),
    "lognormal": lambda rng, n: rng.lognormal(0.0, 1.0, n),
    "whole numbers": lambda rng, n: rng.integers(0, 6, n).astype(float),
    "rare events": lambda rng, n: rng.poisson(0.3, n).astype(float),
}


def rank_statistic(x: np.ndarray, y: np.ndarray, shift: float) -> float:
    """W from the average ranks of all observations, written out as the reference gives it."""
    n, m = len(x), len(y)
    pooled = np.concatenate([x - shift, y])
    excess = rankdata(pooled)[:n].sum() - n * (n + 1) / 2 - n * m / 2
    ties = sum(count**3 - count for count in np.unique(pooled, return_counts=True)[1].tolist())
    deviation = math.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
    return (excess - 0.5 * np.sign(excess)) / deviation


def crossing(x: np.ndarray, y: np.ndarray, q: float) -> float:
    """The first difference after which W is at most q: W is looked at between every two neighbours."""
    steps = np.unique(np.subtract.outer(x, y))
    if rank_statistic(x, y, steps[0]) - q <= 0:
        return steps[0]
    if rank_statistic(x, y, steps[-1]) - q >= 0:
        return steps[-1]
    after = np.append((steps[:-1] + steps[1:]) / 2, steps[-1] + 1.0)
    return next(step for step, place in zip(steps, after, strict=True) if rank_statistic(x, y, float(place)) <= q)


def samples(shape: str, seed: int, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n, m = rng.integers(least, 16, 2)
    x, y = SHAPES[shape](rng, n) + rng.integers(0, 2), SHAPES[shape](rng, m)
    return x, np.append(y, y.max() + 1.0)  # never constant on both sides


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(15))
def test_interval_is_where_the_test_stops_rejecting(shape: str, seed: int) -> None:
    x, y = samples(shape, seed)
    shift, z = find_shift(x, y, 0.98), float(norm.ppf(0.99))
    assert shift.lower.value == pytest.approx(crossing(x, y, z), abs=1e-12)
    assert shift.upper.value == pytest.approx(crossing(x, y, -z), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(15))
def test_estimate_is_where_the_statistic_is_nothing(shape: str, seed: int) -> None:
    x, y = samples(shape, seed)
    estimate = find_shift(x, y, 0.98).estimate.value
    assert rank_statistic(x, y, np.nextafter(estimate, -math.inf) - 1e-9) >= 0.0
    assert rank_statistic(x, y, np.nextafter(estimate, math.inf) + 1e-9) <= 0.0


@pytest.mark.parametrize("shape", SHAPES)
def test_statistic_is_that_of_the_ranks(shape: str) -> None:
    x, y = samples(shape, 7)
    w = StepFunction(x, y)
    for shift in (-1.0, 0.0, 0.5, 1.0, float(x[0] - y[0])):
        assert w(shift) == pytest.approx(rank_statistic(x, y, shift), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_compiled_functions_find_the_same(shape: str) -> None:
    for seed in range(10):
        x, y = samples(shape, seed)
        assert find_shift(x, y, 0.98, compiled=True) == find_shift(x, y, 0.98)


def test_no_step_is_missed_among_many_points() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(10.3, 1.0, 480), rng.normal(10.0, 1.0, 470)
    shift = find_shift(x, y, 0.98, compiled=True)
    differences = np.sort(np.subtract.outer(x, y), axis=None)
    deviation = math.sqrt(480 * 470 / 12 * 951)
    rank = math.ceil(480 * 470 / 2 - 0.5 - float(norm.ppf(0.99)) * deviation)
    assert shift.lower.value == differences[rank - 1]
    assert shift.upper.value == differences[-rank]


finite = st.integers(-1000, 1000).map(lambda value: value / 8)


@settings(max_examples=60, deadline=None)
@given(
    x=st.lists(finite, min_size=2, max_size=9), y=st.lists(finite, min_size=2, max_size=9), power=st.integers(-60, 40)
)
def test_scale_changes_nothing_but_the_unit(x: list[float], y: list[float], power: int) -> None:
    first, second, scale = np.array(x), np.array(y), 2.0**power
    if len(set(x)) == len(set(y)) == 1:
        return
    one, other = find_shift(first, second, 0.98), find_shift(first * scale, second * scale, 0.98)
    for root in ("lower", "upper", "estimate"):
        before, after = getattr(one, root), getattr(other, root)
        assert after == Root(before.value * scale, before.side)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6, 1e-9, 1e9])
def test_rise_of_30_percent_is_seen_at_any_scale(scale: float) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(1.3, 0.2, 60), rng.normal(1.0, 0.2, 60)
        once, found = find_shift(x, y, 0.98), find_shift(x * scale, y * scale, 0.98)
        assert found.lower.value == pytest.approx(once.lower.value * scale, rel=1e-9)
        assert found.upper.value == pytest.approx(once.upper.value * scale, rel=1e-9)
        assert classify("errors", Options(), x * scale, y * scale).word is Word.HIGH


def test_swapped_sides_mirror_the_interval() -> None:
    x, y = samples("lognormal", 3)
    one, other = find_shift(x, y, 0.98), find_shift(y, x, 0.98)
    assert (one.lower.value, one.upper.value) == (-other.upper.value, -other.lower.value)


def test_an_infinite_point_is_only_the_largest() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(10.0, 1.0, 30), rng.normal(10.0, 1.0, 30)
    largest = x.argmax()
    x[largest] = 1e300
    finite = find_shift(x, y, 0.98)
    x[largest] = math.inf
    assert find_shift(x, y, 0.98).lower == finite.lower
    assert find_shift(x, y, 0.98).upper == finite.upper
    assert math.isfinite(find_shift(x, y, 0.98).estimate.value)


def test_all_infinite_canary_is_above_everything() -> None:
    shift = find_shift(np.full(8, math.inf), np.arange(8.0), 0.98)
    assert shift.lower.value == math.inf
    assert shift.upper.value == math.inf


def test_most_points_equal_yet_the_rest_is_higher() -> None:
    """Most differences are 0, so both ends are 0; yet a shift of 0 is rejected: the interval begins above it."""
    x, y = np.array([0.0] * 60 + [5.0] * 40), np.array([0.0] * 95 + [5.0] * 5)
    shift = find_shift(x, y, 0.98)
    assert (shift.lower, shift.upper, shift.estimate) == (Root(0.0, 1), Root(0.0, 1), Root(0.0, 1))
    assert shift.lower.exceeds(0.25, shift.estimate)
    assert not shift.upper.falls_below(0.25, shift.estimate)
    assert not find_shift(y, y[:-1], 0.98).lower.exceeds(0.25, find_shift(y, y[:-1], 0.98).estimate)
