"""What the tests share: findings as arrays, autocorrelation, the evidence that correlated points are worth.

All functions work on float64 [metrics, points] with NaN for gaps, row by row, without a loop over metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Test = Literal["level", "tail", "spread", "count", "stock"]

MOST_CORRELATED = 0.97
# Up to so many points a side autocorrelation cannot be told from a shift: they are taken as exchangeable.
FEW_POINTS = 15
_STRICT_POINTS = 24.0


@dataclass(frozen=True)
class Deviation:
    """One test in one direction, of k metrics, as arrays [k].

    `chance` is the one-sided p-value: how likely equals differ so far that way; `strict` the same where the
    autocorrelation is trusted less (critical metrics). `size` is the difference in the metric's own unit, `share`
    the same as a share of what the baseline shows (both signed). `part` is the portion of a metric's alarm rate
    that this test may use in this direction: the portions of a kind add up to at most 1.
    """

    test: Test
    upward: bool
    chance: Floats
    strict: Floats
    size: Floats
    share: Floats
    part: float


@dataclass(frozen=True)
class Findings:
    """What the tests of a kind say of k metrics, as arrays [k]; the fields mean what MetricVerdict's say."""

    estimate: Floats
    low: Floats
    high: Floats
    effect: Floats
    superiority: Floats
    points: Ints
    effective: Floats
    baseline: Floats
    canary: Floats
    deviations: tuple[Deviation, ...]


def share_of(difference: Floats, reference: Floats) -> Floats:
    """`difference` as a share of |`reference`|; 0 / 0 is 0, anything else over zero is infinite with its sign."""
    size = np.abs(reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = difference / size
    return np.where((size == 0.0) & (difference == 0.0), 0.0, share)


def finite(values: Floats) -> Floats:
    """Infinities become finite values beyond all others of their row, so that they keep their rank."""
    if not np.isinf(values).any():
        return values
    largest = np.max(np.where(np.isfinite(values), np.abs(values), 0.0), axis=1, keepdims=True)
    beyond = np.where(largest > 0.0, 2.0 * largest, 1.0)
    return np.where(np.isposinf(values), beyond, np.where(np.isneginf(values), -beyond, values))


def corrected_rho(raw: Floats, n: Floats) -> Floats:
    """Lag-one autocorrelation less its bias of -(1 + 4 rho) / n, from 0 to 0.97.

    Marriott & Pope, "Bias in the estimation of autocorrelations", Biometrika 41 (1954). Negative values are not
    used: they would claim more evidence than there are points.
    """
    n = np.maximum(n, 1.0)
    return np.clip((raw + 1.0 / n) / np.maximum(1.0 - 4.0 / n, 0.2), 0.0, MOST_CORRELATED)


def inflation_of(rho: Floats, n: Floats) -> Floats:
    """By how much autocorrelation `rho` inflates the variance of a mean of n points; at least 1.

    For an AR(1) series: 1 + 2 sum (1 - k/n) rho^k = (1+rho)/(1-rho) - 2 rho (1-rho^n) / (n (1-rho)^2).
    Bayley & Hammersley, "The effective number of independent observations in an autocorrelated time series",
    J. R. Statist. Soc. Suppl. 8 (1946).
    """
    n = np.maximum(n, 1.0)
    factor = (1.0 + rho) / (1.0 - rho) - 2.0 * rho * (1.0 - rho**n) / (n * (1.0 - rho) ** 2)
    return np.maximum(factor, 1.0)


def pessimistic_points(rho: Floats, n: Floats, *, of: Floats) -> Floats:
    """What `of` points would be worth were rho two of its standard errors, sqrt((1 - rho^2) / n), higher."""
    error = np.sqrt(np.maximum(1.0 - rho**2, 0.02) / np.maximum(n, 1.0))
    return of / inflation_of(np.minimum(rho + 2.0 * error, 0.98), n)


def freedom_of(effective: Floats, pessimistic: Floats, *, sure_points: float) -> Floats:
    """Degrees of freedom of a studentised difference of `effective` points.

    Few points hide how correlated they are: where a pessimistic count falls short of `sure_points`, freedom shrinks
    with its square. Found by simulation: docs/judge.md, "Identical sides".
    """
    return (effective - 1.0) * np.minimum(1.0, pessimistic / sure_points) ** 2


def strict_freedom_of(effective: Floats, pessimistic: Floats) -> Floats:
    """The same for what stops a canary: below 24 pessimistic points it shrinks with their cube."""
    return (effective - 1.0) * np.minimum(1.0, pessimistic / _STRICT_POINTS) ** 3


def upper_tail(statistic: Floats, freedom: Floats) -> Floats:
    """P(Student's t > statistic)."""
    return special.stdtr(freedom, -statistic)


def mean_of(values: Floats) -> Floats:
    """Mean of what is there [metrics]; NaN where nothing is."""
    present = ~np.isnan(values)
    n = present.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 0, np.where(present, values, 0.0).sum(axis=1) / n, np.nan)
