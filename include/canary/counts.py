"""Counts tested as counts: errors that only the canary has, calls that have doubled."""

from __future__ import annotations

import numpy as np
from scipy import special

from include.canary import kernel
from include.canary.statistics import (
    FEW_POINTS,
    Deviation,
    Findings,
    Floats,
    corrected_rho,
    freedom_of,
    inflation_of,
    pessimistic_points,
    share_of,
    upper_tail,
)

_PART = 0.5
# Of the dispersion of sparse counts much is noise: this many of its standard errors, sqrt(2 / n), count as none.
_DOUBT = 1.5
# Bartlett's weights lose that much of a slowly decaying autocorrelation; found by simulation (docs/judge.md).
_LOST = 1.75
_LEAST_FREEDOM, _LEAST_STRICT_FREEDOM = 2.0, 4.0
_SURE_POINTS = 12.0
_MOST_OFTEN = 25.0
_LEAST_DISPERSION = 0.4
_GRID = 1e-6
_RATE_ZEROS = 0.2


def units_of(baseline: Floats, canary: Floats) -> Floats:
    """What one event adds to a point [metrics]: 1 for whole numbers, more or less for rates; 0 where it is a level.

    Counts are multiples of a unit, few a point (under 25) and no steadier than events are: a gauge that stands at 5
    is a level. Rates (0, 1/60, 2/60 ... a second) count as events too if at least a fifth of the points is zero.
    """
    sides = (baseline, canary)
    present = [~np.isnan(side) for side in sides]
    filled = [np.where(has, side, 0.0) for has, side in zip(present, sides, strict=True)]
    seen = sum(has.sum(axis=1) for has in present)
    zeros = sum((has & (side == 0.0)).sum(axis=1) for has, side in zip(present, filled, strict=True))
    positive = np.minimum(*(np.where(side > 0.0, side, np.inf).min(axis=1, initial=np.inf) for side in filled))
    least = np.minimum(*(side.min(axis=1, initial=0.0) for side in filled))
    units = np.zeros(len(baseline))
    rate = np.where(np.isfinite(positive) & (zeros >= _RATE_ZEROS * seen), positive, 1.0)
    for unit in (np.ones(len(baseline)), rate):
        fits = (units == 0.0) & (least >= 0.0) & np.isfinite(positive)
        for has, side in zip(present, filled, strict=True):
            fits &= _are_events(side / unit[:, None], has)
        units = np.where(fits, unit, units)
    return units


def _are_events(events: Floats, present: Floats) -> Floats:
    """Rows whose values are whole, few, and as unsteady as events are (index of dispersion: variance / mean)."""
    n = np.maximum(present.sum(axis=1), 1)
    mean = events.sum(axis=1) / n
    with np.errstate(invalid="ignore"):
        is_whole = (np.abs(events - np.rint(events)) <= _GRID * np.maximum(events, 1.0)).all(axis=1)
        variance = np.where(present, (events - mean[:, None]) ** 2, 0.0).sum(axis=1) / n
    return is_whole & (mean < _MOST_OFTEN) & ((mean == 0.0) | (variance >= _LEAST_DISPERSION * mean))


def _inflation(gaps: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Variance inflation of the sum of the paired differences, and its lag-one autocorrelation.

    The larger of an AR(1)'s and of 1 + 2 sum w_k rho_k with Bartlett's weights to lag sqrt n (Newey & West,
    Econometrica 55 (1987)): sparse counts of a persistent cause are correlated longer than their lag one tells.
    """
    points = gaps.shape[1]
    lags = int(np.ceil(np.sqrt(points)))
    found = np.zeros((len(gaps), lags + 1))
    kernel.autocovariances(gaps, found)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlations = np.where(found[:, :1] > 0.0, found / found[:, :1], 0.0)
    weights = 1.0 - np.arange(1, lags + 1) / (lags + 1.0)
    bartlett = 1.0 + 2.0 * (correlations[:, 1:] * weights).sum(axis=1)
    bartlett /= 1.0 - np.minimum((lags + 1.0) / np.maximum(n, 1.0), 0.5)
    rho = corrected_rho(correlations[:, min(1, lags)], n)
    return np.maximum(np.maximum(inflation_of(rho, n), 1.0 + _LOST * (bartlett - 1.0)), 1.0), rho


def _dispersion(gaps: Floats, n: Floats, mean: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Dispersion of the counts, and freedom (plain, strict) and worth of the points, each [metrics].

    Events that come in bursts are one accident, not many: McCullagh & Nelder, Generalized Linear Models, 4.5 and 9.2
    (quasi-likelihood), here of canary_t - baseline_t, whose Poisson variance is the sum of both means: what shakes
    both sides at once cancels. Only the part beyond Poisson is estimated, so freedom grows as that part vanishes
    (Satterthwaite, Biometrics Bulletin 2 (1946)).
    """
    factor, rho = _inflation(gaps, n)
    factor = np.where(n <= FEW_POINTS, 1.0, factor)
    centred = gaps - (np.nansum(gaps, axis=1) / np.maximum(n, 1.0))[:, None]
    variance = np.nansum(centred**2, axis=1) / np.maximum(n - 1.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = np.where(mean > 0.0, variance / mean, 1.0)
    dispersion = np.maximum(index - _DOUBT * np.sqrt(2.0 / np.maximum(n, 1.0)), 1.0) * factor
    effective = n / factor
    pessimistic = np.minimum(pessimistic_points(rho, n, of=n), effective)
    with np.errstate(divide="ignore"):
        known = (dispersion / np.maximum(dispersion - 1.0, 1e-9)) ** 2
    freedom = freedom_of(effective, pessimistic, sure_points=_SURE_POINTS)
    plain = np.maximum(freedom, _LEAST_FREEDOM) * known
    strict = np.maximum(freedom, _LEAST_STRICT_FREEDOM)
    strict = np.where(n <= FEW_POINTS, plain, strict)
    return dispersion, plain, strict, effective


def compare_counts(baseline: Floats, canary: Floats, units: Floats, superiority: Floats, confidence: float) -> Findings:
    """Did more, or fewer, events happen in the canary? Totals over the points that both sides have.

    `units` [metrics] is what one event adds to a point. Totals of events are divided by their dispersion and compared
    by their square roots, sqrt 2 x (sqrt(new + 3/8) - sqrt(old + 3/8)), whose null distribution is all but normal:
    Anscombe, Biometrika 35 (1948); Huffman, J. R. Statist. Soc. C 33 (1984); Gu et al., Biom. J. 50 (2008). The
    interval of the ratio of rates p / (1 - p) is that of Clopper & Pearson, Biometrika 26 (1934), for a binomial
    share p of all events. No events in the baseline is data: the effect is then infinite. Estimates are per point.
    """
    both = ~np.isnan(baseline) & ~np.isnan(canary)
    n = both.sum(axis=1).astype(np.float64)
    per_point = np.maximum(n, 1.0)
    events = [np.where(both, np.maximum(side, 0.0), 0.0).sum(axis=1) / units for side in (baseline, canary)]
    gaps = np.where(both, canary - baseline, np.nan) / units[:, None]
    dispersion, plain, strict, effective = _dispersion(gaps, n, (events[0] + events[1]) / per_point)
    old, new = events[0] / dispersion, events[1] / dispersion
    statistic = np.sqrt(2.0) * (np.sqrt(new + 0.375) - np.sqrt(old + 0.375))
    low, high = (end * units / per_point for end in _interval(events, old, new, confidence))
    means = [np.where(n > 0, total * units / per_point, np.nan) for total in events]
    estimate = (events[1] - events[0]) * units / per_point
    effect = share_of(estimate, np.nan_to_num(means[0]))
    chances = [(upper_tail(sign * statistic, plain), upper_tail(sign * statistic, strict)) for sign in (1.0, -1.0)]
    return Findings(
        estimate=estimate,
        low=low,
        high=high,
        effect=effect,
        superiority=superiority,
        points=n.astype(np.int64),
        effective=effective,
        baseline=means[0],
        canary=means[1],
        deviations=tuple(
            Deviation("count", upward, *chance, estimate, effect, _PART)
            for upward, chance in zip((True, False), chances, strict=True)
        ),
    )


def _interval(events: list[Floats], old: Floats, new: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Ends of the interval of the difference of the totals, `old` and `new` being the totals over their dispersion."""
    tail = (1.0 - confidence) / 2.0
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.where(new > 0.0, special.betaincinv(np.maximum(new, 1e-9), old + 1.0, tail), 0.0)
        high = np.where(old > 0.0, special.betaincinv(new + 1.0, np.maximum(old, 1e-9), 1.0 - tail), 1.0)
        ends = [
            np.where(events[0] > 0.0, events[0] * (low / (1.0 - low) - 1.0), 0.0),
            np.where(events[0] > 0.0, events[0] * (high / (1.0 - high) - 1.0), np.inf),
        ]
    is_quiet = (events[0] == 0.0) & (events[1] == 0.0)
    return ends[0], np.where(is_quiet, 0.0, ends[1])
