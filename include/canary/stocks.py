"""Stocks (memory, threads, open files): they wander and creep, so they are judged by where they end up."""

from __future__ import annotations

import numpy as np
from scipy import special

from include.canary.statistics import (
    Deviation,
    Findings,
    Floats,
    corrected_rho,
    finite,
    inflation_of,
    share_of,
    upper_tail,
)

_MOST_CORRELATED = 0.8
_LEAST_FREEDOM = 4.0
_PART = 0.5


def _slope(times: Floats, gap: Floats) -> float:
    """Theil-Sen: the median slope of all pairs of points. Sen, J. Am. Statist. Assoc. 63 (1968)."""
    earlier, later = np.triu_indices(len(times), 1)
    return float(np.median((gap[later] - gap[earlier]) / (times[later] - times[earlier])))


def _end_difference(gap: Floats) -> tuple[float, float, float, float]:
    """Where canary - baseline stands at the window's end: estimate, standard error, freedom, effective points.

    A robust line through the differences, read at the last point. For a regression line over n evenly spaced points
    its variance there is sigma^2 (1/n + 3/n), times the AR(1) inflation of the residuals. A stock has no stationary
    mean, so residuals' autocorrelation is cut at 0.8 (nothing would ever be certain of a random walk); what guards
    against wandering is the rule's relevance tolerance, not chance.
    """
    there = np.flatnonzero(~np.isnan(gap))
    seen = gap[there]
    n = len(seen)
    if n < 3:
        return (float(np.median(seen)) if n else np.nan), np.inf, _LEAST_FREEDOM, float(n)
    slope = _slope(there.astype(np.float64), seen)
    level = float(np.median(seen - slope * there))
    residual = seen - level - slope * there
    factor = _inflation(residual - residual.mean())
    spread = float(np.sqrt((residual**2).sum() / (n - 2)))
    error = 2.0 * spread * np.sqrt(factor / n)
    return level + slope * float(there[-1]), error, max(n / factor - 2.0, _LEAST_FREEDOM), n / factor


def _inflation(residual: Floats) -> float:
    """The residuals' variance inflation, their autocorrelation cut at 0.8."""
    n = np.array([float(len(residual))])
    variance = float((residual**2).sum()) / len(residual)
    products = float((residual[1:] * residual[:-1]).sum()) / (len(residual) - 1)
    rho = corrected_rho(np.array([products / variance if variance > 0.0 else 0.0]), n)
    return float(inflation_of(np.minimum(rho, _MOST_CORRELATED), n)[0])


def _mean_of_last(values: Floats) -> float:
    """The side's own standing at the end: the median of its last quarter."""
    seen = values[~np.isnan(values)]
    return float(np.median(seen[-max(len(seen) // 4, 1) :])) if len(seen) else np.nan


def compare_stocks(baseline: Floats, canary: Floats, superiority: Floats, confidence: float) -> Findings:
    """Does the canary hold more at the end of the window, or creep away from the baseline? One row at a time.

    `estimate` and interval are the difference at the end, `effect` its share of where the baseline stands then.
    Points are those that both sides have.
    """
    baseline, canary = finite(baseline), finite(canary)
    rows = [_end_difference(gap) for gap in canary - baseline]
    estimate, error, freedom, effective = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    reach = special.stdtrit(freedom, 0.5 + confidence / 2.0) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.nan_to_num(
            np.where(error > 0.0, estimate / error, np.sign(estimate) * np.inf), posinf=1e9, neginf=-1e9
        )
    old = np.array([_mean_of_last(row) for row in baseline])
    effect = share_of(estimate, old)
    chances = [upper_tail(sign * statistic, freedom) for sign in (1.0, -1.0)]
    return Findings(
        estimate=estimate,
        low=estimate - reach,
        high=estimate + reach,
        effect=effect,
        superiority=superiority,
        points=(~np.isnan(canary - baseline)).sum(axis=1),
        effective=effective,
        baseline=old,
        canary=np.array([_mean_of_last(row) for row in canary]),
        deviations=tuple(
            Deviation("stock", upward, chance, chance, np.nan_to_num(estimate), effect, _PART)
            for upward, chance in zip((True, False), chances, strict=True)
        ),
    )
