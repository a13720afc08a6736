"""The exact interval against Kayenta's way to it: W from ranks, Brent's method with its absolute tolerance of 1e-4."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from include.canary.kayenta.interval import find_shift
from include.canary.kayenta.rank_sum import next_step

TOLERANCE = 1e-4
Function = Callable[[float], float]
SHAPES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(10.0 + rng.random(), 1.0, n),
    "one decimal": lambda rng, n: np.round(rng.normal(10.0, 1.0, n), 1),
    "lognormal": lambda rng, n: rng.lognormal(0.0, 1.0, n),
    "whole numbers": lambda rng, n: rng.integers(0, 6, n).astype(float),
    "events": lambda rng, n: rng.poisson(rng.choice([0.3, 2.0, 9.0]), n).astype(float),
}


def rank_statistic(x: np.ndarray, y: np.ndarray) -> Function:
    n, m = len(x), len(y)

    def w(shift: float) -> float:
        pooled = np.concatenate([x - shift, y])
        excess = rankdata(pooled)[:n].sum() - n * (n + 1) / 2 - n * m / 2
        ties = sum(count**3 - count for count in np.unique(pooled, return_counts=True)[1].tolist())
        deviation = math.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
        return float((excess - 0.5 * np.sign(excess)) / deviation)

    return w


def brent(f: Function, low: float, high: float) -> float:
    a, b, c = low, high, low
    of_a, of_b = f(a), f(b)
    of_c = of_a
    if of_a == 0.0:
        return a
    for _ in range(1001):
        if abs(of_c) < abs(of_b):
            a, b, c = b, c, b
            of_a, of_b, of_c = of_b, of_c, of_b
        least = 2.0 * 2.220446049250313e-16 * abs(b) + TOLERANCE / 2
        if of_b == 0.0 or abs(c - b) / 2 <= least:
            return b
        step = next_step(a, b, c, of_a, of_b, of_c, least)
        a, of_a = b, of_b
        b += step if abs(step) >= least else math.copysign(least, step)
        of_b = f(b)
        if of_b * of_c > 0.0:
            c, of_c = a, of_a
    return b


def approached(x: np.ndarray, y: np.ndarray, q: float) -> float:
    w, low, high = rank_statistic(x, y), x.min() - y.max(), x.max() - y.min()
    if q and w(low) - q <= 0:
        return float(low)
    if q and w(high) - q >= 0:
        return float(high)
    return brent(lambda shift: w(shift) - q, low, high)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(25))
def test_kayentas_solver_comes_to_the_same_interval_and_estimate(shape: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, (8, 40)[seed % 2], 2)
    x, y = SHAPES[shape](rng, n), SHAPES[shape](rng, m)
    if len(set(x)) == len(set(y)) == 1:
        pytest.skip("constant on both sides: Kayenta adds noise")
    shift, z = find_shift(x, y, 0.98), float(norm.ppf(0.99))
    found = (shift.lower.value, shift.upper.value, shift.estimate.value)
    wanted = (approached(x, y, z), approached(x, y, -z), approached(x, y, 0.0))
    assert found == pytest.approx(wanted, abs=1.001 * TOLERANCE, rel=0)
    if found[0] or found[1]:  # both ends 0: what Kayenta says depends on where its solver stopped
        says_high, says_low = wanted[0] > 0.25 * abs(wanted[2]), wanted[1] < -0.25 * abs(wanted[2])
        assert shift.lower.exceeds(0.25, shift.estimate) == says_high
        assert shift.upper.falls_below(0.25, shift.estimate) == says_low
