"""The statistics shared by the tests: ranks, autocorrelation, order statistics of differences, multiplicity.

All functions work on float64 [metrics, points] with NaN for gaps, row by row, without a loop over metrics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Floats = npt.NDArray[np.float64]

_MOST_CORRELATED = 0.97
_MOST_QUANTILES = 64
_LEAST_SPREAD = 0.05


@dataclass(frozen=True)
class Findings:
    """What a test says of k metrics, as arrays [k]; the fields mean what MetricVerdict's say.

    `above` and `below` are one-sided p-values: how likely equals differ so far up, or so far down.
    """

    estimate: Floats
    low: Floats
    high: Floats
    effect: Floats
    above: Floats
    below: Floats
    points: npt.NDArray[np.int64]
    effective: Floats
    baseline: Floats
    canary: Floats


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
    beyond = 2.0 * largest + 1.0
    return np.where(np.isposinf(values), beyond, np.where(np.isneginf(values), -beyond, values))


def average_ranks(values: Floats) -> Floats:
    """Ranks from 1 within each row, ties averaged; gaps stay gaps."""
    gaps = np.isnan(values)
    ranks: Floats = stats.rankdata(np.where(gaps, np.inf, values), axis=1)
    ranks[gaps] = np.nan
    return ranks


def _lag_one(centred: Floats, present: npt.NDArray[np.bool_], n: Floats) -> Floats:
    """Autocorrelation at one step, corrected for its bias of -(1 + 4 rho) / n.

    Marriott & Pope, "Bias in the estimation of autocorrelations", Biometrika 41 (1954). Only neighbours that are
    both present count. Negative values are not used: they would claim more evidence than there are points.
    """
    together = present[:, 1:] & present[:, :-1]
    neighbours = np.maximum(together.sum(axis=1), 1)
    products = np.where(together, centred[:, 1:] * centred[:, :-1], 0.0).sum(axis=1) / neighbours
    variance = (centred**2).sum(axis=1) / np.maximum(n, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = np.where(variance > 0.0, products / variance, 0.0)
    corrected = (raw + 1.0 / np.maximum(n, 1.0)) / np.maximum(1.0 - 4.0 / np.maximum(n, 1.0), 0.2)
    return np.clip(corrected, 0.0, _MOST_CORRELATED)


def inflation(
    centred: Floats, present: npt.NDArray[np.bool_], *, most: float = _MOST_CORRELATED, doubt: float = 0.0
) -> Floats:
    """By how much autocorrelation inflates the variance of a mean, [metrics], at least 1.

    For an AR(1) series of n points: 1 + 2 sum (1 - k/n) rho^k = (1+rho)/(1-rho) - 2 rho (1-rho^n) / (n (1-rho)^2).
    Bayley & Hammersley, "The effective number of independent observations in an autocorrelated time series",
    J. R. Statist. Soc. Suppl. 8 (1946). `centred` has mean 0 and 0 where nothing is `present`.
    rho is taken `doubt` of its standard errors (1 / sqrt n) lower, and at most `most`.
    """
    n = present.sum(axis=1).astype(np.float64)
    rho = _lag_one(centred, present, n)
    n = np.maximum(n, 1.0)
    rho = np.clip(rho - doubt / np.sqrt(n), 0.0, most)
    factor = (1.0 + rho) / (1.0 - rho) - 2.0 * rho * (1.0 - rho**n) / (n * (1.0 - rho) ** 2)
    return np.maximum(factor, 1.0)


def side_mean(values: Floats) -> Floats:
    """Mean of what is there; NaN where nothing is."""
    present = ~np.isnan(values)
    n = present.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 0, np.where(present, values, 0.0).sum(axis=1) / n, np.nan)


def side_median(values: Floats) -> Floats:
    """Median of what is there; NaN where nothing is. (numpy's nanmedian goes row by row.)"""
    ordered = np.sort(values, axis=1)
    n = (~np.isnan(values)).sum(axis=1)
    lower = np.take_along_axis(ordered, np.maximum((n - 1) // 2, 0)[:, None], axis=1)[:, 0]
    upper = np.take_along_axis(ordered, np.minimum(n // 2, values.shape[1] - 1)[:, None], axis=1)[:, 0]
    return np.where(n > 0, 0.5 * (lower + upper), np.nan)


def _quantiles(values: Floats, count: int) -> Floats:
    """`count` evenly spaced order statistics of each row: all points if the row has just as many."""
    ordered = np.sort(values, axis=1)
    n = (~np.isnan(values)).sum(axis=1)
    places = np.floor((np.arange(count)[None, :] + 0.5) / count * n[:, None]).astype(np.intp)
    return np.take_along_axis(ordered, np.minimum(places, values.shape[1] - 1), axis=1)


def differences_at(baseline: Floats, canary: Floats, levels: Floats) -> Floats:
    """Quantiles `levels` [metrics, q] of all pairwise differences canary - baseline, as order statistics.

    The median of these differences is the Hodges-Lehmann estimate of the shift, and its interval ends are order
    statistics of them: Hodges & Lehmann, Ann. Math. Statist. 34 (1963); Hollander, Wolfe & Chicken, Nonparametric
    Statistical Methods, ch. 4. Above 64 points a side stands for itself by 64 evenly spaced order statistics.
    """
    count = min(baseline.shape[1], _MOST_QUANTILES)
    pairs = _quantiles(canary, count)[:, :, None] - _quantiles(baseline, count)[:, None, :]
    ordered = np.sort(pairs.reshape(len(pairs), -1), axis=1)
    last = ordered.shape[1] - 1
    places = np.clip(np.nan_to_num(levels, nan=0.5), 0.0, 1.0) * last
    below = np.take_along_axis(ordered, np.floor(places).astype(np.intp), axis=1)
    above = np.take_along_axis(ordered, np.ceil(places).astype(np.intp), axis=1)
    return 0.5 * (below + above)


def _rank_difference(baseline: Floats, canary: Floats) -> tuple[Floats, Floats, Floats]:
    """Difference of the sides' mean pooled ranks, its standard error, and the effective points: each [metrics].

    The variance is that of the actual series, not of the null hypothesis: each time contributes
    psi_t = (R_canary,t - mean) / n_canary - (R_baseline,t - mean) / n_baseline, where a missing side contributes 0,
    and Var = sum psi_t^2 x AR(1) inflation, which takes in noise common to both sides (a busy machine) with its sign.
    """
    points = baseline.shape[1]
    ranks = average_ranks(np.concatenate([baseline, canary], axis=1))
    sides = (ranks[:, :points], ranks[:, points:])
    n_baseline, n_canary = ((~np.isnan(side)).sum(axis=1).astype(np.float64) for side in sides)
    means = tuple(side_mean(side) for side in sides)
    psi = np.nan_to_num((sides[1] - means[1][:, None]) / np.maximum(n_canary, 1.0)[:, None])
    psi -= np.nan_to_num((sides[0] - means[0][:, None]) / np.maximum(n_baseline, 1.0)[:, None])
    factor = inflation(psi, ~(np.isnan(sides[0]) & np.isnan(sides[1])))
    n = 2.0 * n_baseline * n_canary / np.maximum(n_baseline + n_canary, 1.0)
    effective = np.maximum(n / factor, np.minimum(n, 1.0))
    # E[sum psi^2] falls short of the variance by a factor 1 - inflation / n, as the means were estimated too.
    variance = (psi**2).sum(axis=1) * factor / np.maximum(1.0 - factor / np.maximum(n, 1.0), 0.2)
    # Two constants that differ have no spread at all; they are no more evidence than well-separated noise.
    least = _LEAST_SPREAD * (np.maximum(n, 2.0) ** 2 - 1.0) / 6.0 / np.maximum(n, 1.0)
    return means[1] - means[0], np.sqrt(np.maximum(variance, least)), effective


def compare_levels(baseline: Floats, canary: Floats, confidence: float) -> Findings:
    """Has the level shifted? A rank test for autocorrelated, gappy series, and the Hodges-Lehmann shift.

    Mann-Whitney's statistic, U / nm = 1/2 + (mean rank of canary - mean rank of baseline) / N, is studentised and
    referred to Student's t with (effective points - 1) degrees of freedom: Conover & Iman, "Rank transformations as
    a bridge", Am. Statist. 35 (1981); Brunner & Munzel, Biom. J. 42 (2000) for the variance under the alternative.
    The interval of the shift inverts the test: order statistics of the pairwise differences at 1/2 -+ t x se.
    Scale-free; infinities keep their ranks. Rows with an empty side give NaN and p = 1.
    """
    baseline, canary = finite(baseline), finite(canary)
    difference, error, effective = _rank_difference(baseline, canary)
    freedom = np.maximum(effective - 1.0, 1.0)
    statistic = np.nan_to_num(difference / error)
    counts = [(~np.isnan(side)).sum(axis=1) for side in (baseline, canary)]
    reach = special.stdtrit(freedom, 0.5 + confidence / 2.0) * error / np.maximum(counts[0] + counts[1], 1)
    levels = np.stack([0.5 - reach, np.full_like(reach, 0.5), 0.5 + reach], axis=1)
    low, estimate, high = differences_at(baseline, canary, levels).T
    typical = side_median(baseline)
    reference = np.where(typical == 0.0, np.nan_to_num(side_mean(np.abs(baseline))), typical)
    return Findings(
        estimate=estimate,
        low=low,
        high=high,
        effect=share_of(estimate, reference),
        above=special.stdtr(freedom, -statistic),
        below=special.stdtr(freedom, statistic),
        points=np.minimum(counts[0], counts[1]),
        effective=effective,
        baseline=typical,
        canary=side_median(canary),
    )


def reject_dependent(chances: Floats, false_share: float) -> npt.NDArray[np.bool_]:
    """Which p-values count, so that the expected share of false ones is at most `false_share` whatever the dependence.

    Step-up with p(k) <= k q / (m sum_1^m 1/i): Benjamini & Yekutieli, Ann. Statist. 29 (2001).
    """
    m = len(chances)
    if m == 0:
        return np.zeros(0, dtype=np.bool_)
    order = np.argsort(chances, kind="stable")
    bounds = np.arange(1, m + 1) * false_share / (m * (1.0 / np.arange(1, m + 1)).sum())
    passing = np.flatnonzero(chances[order] <= bounds)
    rejected = np.zeros(m, dtype=np.bool_)
    if len(passing):
        rejected[order[: passing[-1] + 1]] = True
    return rejected
