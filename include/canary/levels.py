"""Levels (latency, utilisation): has the distribution shifted, grown a tail, or spread?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from include.canary import kernel
from include.canary.ranks import Scores
from include.canary.statistics import (
    FEW_POINTS,
    Deviation,
    Findings,
    Flags,
    Floats,
    Ints,
    corrected_rho,
    freedom_of,
    inflation_of,
    mean_of,
    pessimistic_points,
    share_of,
    strict_freedom_of,
    upper_tail,
)

# Portions of a metric's alarm rate, per direction: twice their sum is under 1.
_LEVEL_PART, _TAIL_PART, _SPREAD_PART = 0.2, 0.125, 0.1
_EXACT_POINTS = 60
_LEAST_VARIANCE = 0.05
_SURE_POINTS = 10.0
_DRIFT = 0.25
_LEAST_FREEDOM = np.array([0.5, 0.5, 0.5, 0.5, 2.0])


@dataclass(frozen=True)
class _Studentised:
    """Differences of scores over their standard errors [metrics, scores], and what they may be held against."""

    statistic: Floats
    freedom: Floats
    strict_freedom: Floats
    error: Floats
    effective: Floats

    def chances(self, *, upward: bool, strict: bool) -> Floats:
        freedom = self.strict_freedom if strict else self.freedom
        return upper_tail(self.statistic if upward else -self.statistic, freedom)


def _studentise(scores: Scores) -> _Studentised:
    """The scores' differences, with a variance that knows autocorrelation.

    What happens at the ends is seen in few points, and stays correlated longer than their lag one tells: it counts as
    correlated by at least rho^2, about what the squares of a Gaussian series of correlation rho are.
    """
    n = scores.counts.astype(np.float64)
    spans = n.max(axis=1)[:, None]
    worth = (2.0 * n[:, 0] * n[:, 1] / np.maximum(n.sum(axis=1), 1.0))[:, None]
    rho = corrected_rho(scores.found[:, :, 2], spans)
    level = rho[:, kernel.LOCATION].copy()
    for ends in (kernel.UPPER, kernel.LOWER, kernel.SPREAD):
        rho[:, ends] = np.maximum(rho[:, ends], level**2)
    factor = inflation_of(rho, spans)
    effective = np.maximum(worth / factor, np.minimum(worth, 1.0))
    pessimistic = pessimistic_points(rho, spans, of=worth)
    pessimistic = np.minimum(pessimistic, pessimistic[:, : kernel.LOCATION + 1])
    # E[sum psi^2] falls short of the variance by a factor 1 - inflation / n, as the means were estimated too.
    variance = scores.found[:, :, 1] * factor / np.maximum(1.0 - factor / np.maximum(worth, 1.0), 0.2)
    # Two constants that differ have no spread at all; they are no more evidence than well-separated noise.
    error = np.sqrt(np.maximum(variance, _LEAST_VARIANCE * scores.found[:, :, 3]))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.nan_to_num(scores.found[:, :, 0] / error)
    return _Studentised(
        statistic=statistic,
        freedom=np.maximum(freedom_of(effective, pessimistic, sure_points=_SURE_POINTS), _LEAST_FREEDOM),
        strict_freedom=np.maximum(strict_freedom_of(effective, pessimistic), _LEAST_FREEDOM),
        error=error,
        effective=effective[:, kernel.LOCATION],
    )


def _own_ranks(side: Floats) -> Floats:
    """Ranks of each row's points among themselves, gaps staying gaps; a constant row is one gap."""
    ranks = np.where(np.isnan(side), np.nan, np.argsort(np.argsort(side, axis=1), axis=1).astype(np.float64))
    is_constant = np.nanmax(side, axis=1, initial=-np.inf) == np.nanmin(side, axis=1, initial=np.inf)
    return np.where(is_constant[:, None], np.nan, ranks)


def _drifts(series: Floats) -> Flags:
    """Which series [rows, points] of few points drift rather than scatter, by their lag-one autocorrelation."""
    n = (~np.isnan(series)).sum(axis=1).astype(np.float64)
    centred = np.nan_to_num(series - np.nan_to_num(mean_of(series))[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = np.nan_to_num((centred[:, 1:] * centred[:, :-1]).sum(axis=1) / (centred**2).sum(axis=1))
    return (corrected_rho(raw, n) > _DRIFT) & (n > 0)


def _exact(scores: Scores, *, trusts_drift: bool) -> tuple[Ints, Floats]:
    """Rows whose few points may be exchanged, and their exact chances [rows, (location, spread), (up, down)].

    Where both sides drift, and not together, they may not: there the studentised test stands, which so few points
    hardly ever convince.
    """
    n = scores.counts
    rows = np.flatnonzero((n.min(axis=1) > 0) & (n.min(axis=1) <= FEW_POINTS) & (n.sum(axis=1) <= _EXACT_POINTS))
    if len(rows) and not trusts_drift:
        points = scores.values.shape[1] // 2
        old, new = _own_ranks(scores.values[rows, :points]), _own_ranks(scores.values[rows, points:])
        rows = rows[~(_drifts(old) & _drifts(new) & _drifts(new - old))]
    found = np.ones((len(rows), 2, 2))
    if len(rows):
        kernel.exact_tails(scores.values, scores.order, rows, found)
    return rows, found


def _at(ranked: Floats, counts: Floats, level: float) -> Floats:
    """Quantile of each row's sorted points (the nearest order statistic)."""
    places = np.minimum(np.floor(level * counts), np.maximum(counts - 1, 0)).astype(np.intp)
    found: Floats = np.take_along_axis(ranked, places[:, None], axis=1)[:, 0]
    return found


def _median(ranked: Floats, counts: Floats) -> Floats:
    below = np.take_along_axis(ranked, np.maximum((counts - 1) // 2, 0).astype(np.intp)[:, None], axis=1)[:, 0]
    above = np.take_along_axis(ranked, np.minimum(counts // 2, ranked.shape[1] - 1).astype(np.intp)[:, None], axis=1)
    found: Floats = np.where(counts > 0, 0.5 * (below + above[:, 0]), np.nan)
    return found


def compare_levels(scores: Scores, confidence: float, *, trusts_drift: bool = False) -> Findings:
    """Level, tail and spread of k metrics, and the Hodges-Lehmann shift with its interval.

    - Level: Mann-Whitney's statistic, P(canary > baseline) + P(equal) / 2 - 1/2, studentised and referred to Student's
      t with (effective points - 1) degrees of freedom: Conover & Iman, "Rank transformations as a bridge", Am. Statist.
      35 (1981); Brunner & Munzel, Biom. J. 42 (2000). Beside it the difference of the means likewise: ranks cannot
      tell a large gap between smooth series from a small one.
    - Tail: which side has more of the highest (lowest) twentieth of all points; what matters is the mean of each
      side's own tenth. Spread: Savage's scores of both ends; what matters is half the distance from the 10th to the
      90th percentile.
    - Up to 15 points a side: exact permutation tests of level and spread, unless both sides drift
      (`trusts_drift`: even then).

    The interval inverts the level's test: order statistics of the pairwise differences at 1/2 -+ t x error (Hodges &
    Lehmann, Ann. Math. Statist. 34 (1963)). Scale-free. Rows with an empty side give NaN and chances of 1.
    """
    seen = _studentise(scores)
    counts = scores.counts.astype(np.float64)
    reach = special.stdtrit(seen.freedom[:, kernel.LOCATION], 0.5 + confidence / 2.0) * seen.error[:, kernel.LOCATION]
    levels = np.stack([0.5 - reach, np.full_like(reach, 0.5), 0.5 + reach], axis=1)
    shifts = np.full((len(reach), 3), np.nan)
    kernel.differences_at(scores.ranked, scores.counts, np.nan_to_num(levels, nan=0.5), shifts)
    low, estimate, high = (shifts * scores.scale[:, None]).T
    sides = [(scores.ranked[:, side], counts[:, side]) for side in (0, 1)]
    medians = [_median(*side) * scores.scale for side in sides]
    reference = np.where(medians[0] == 0.0, np.nan_to_num(mean_of(np.abs(sides[0][0]))) * scores.scale, medians[0])
    return Findings(
        estimate=estimate,
        low=low,
        high=high,
        effect=share_of(estimate, reference),
        superiority=scores.superiority,
        points=scores.counts.min(axis=1),
        effective=seen.effective,
        baseline=medians[0],
        canary=medians[1],
        deviations=_deviations(scores, seen, estimate, reference, _exact(scores, trusts_drift=trusts_drift)),
    )


def _deviations(
    scores: Scores, seen: _Studentised, estimate: Floats, reference: Floats, few: tuple[Ints, Floats]
) -> tuple[Deviation, ...]:
    counts = scores.counts.astype(np.float64)
    sides = [(scores.ranked[:, side], counts[:, side]) for side in (0, 1)]
    rows, exact = few
    ends = np.empty((len(counts), 2, 2))
    kernel.tail_means(scores.ranked, scores.counts, ends)
    ends *= scores.scale[:, None, None]
    spreads = [0.5 * (_at(*side, 0.9) - _at(*side, 0.1)) * scores.scale for side in sides]
    wider = np.nan_to_num(spreads[1] - spreads[0])
    # The lower tail's score is high where values are low: both tails deviate where theirs is higher in the canary.
    tails = [seen.chances(upward=True, strict=strict) for strict in (False, True)]
    found = []
    for upward in (True, False):
        chances = [seen.chances(upward=upward, strict=strict) for strict in (False, True)]
        level = [np.minimum(chance[:, kernel.LOCATION], chance[:, kernel.MEAN]) for chance in chances]
        tail = [chance[:, kernel.UPPER if upward else kernel.LOWER].copy() for chance in tails]
        spread = [chance[:, kernel.SPREAD].copy() for chance in chances]
        for least in (0, 1):
            level[least][rows] = exact[:, 0, 0 if upward else 1]
            spread[least][rows] = exact[:, 1, 0 if upward else 1]
            tail[least][rows] = 1.0
        end = ends[:, :, 1 if upward else 0]
        worse = np.nan_to_num(end[:, 1] - end[:, 0])
        beside = np.fmax(np.abs(end[:, 0]), np.abs(reference))
        found += [
            Deviation(
                "level", upward, level[0], level[1], np.nan_to_num(estimate), share_of(estimate, reference), _LEVEL_PART
            ),
            Deviation("tail", upward, tail[0], tail[1], worse, share_of(worse, beside), _TAIL_PART),
            Deviation("spread", upward, spread[0], spread[1], wider, share_of(wider, reference), _SPREAD_PART),
        ]
    return tuple(found)
