"""Counts tested as counts: errors that only the canary has, calls that have doubled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from include.canary.statistics import Findings, Floats, inflation, share_of

# Of the autocorrelation of sparse counts most is noise; what is within one standard error of none counts as none.
_DOUBT = 1.0


def _dispersion(baseline: Floats, canary: Floats, both: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Variance of the paired difference over that of Poisson counts, at least 1; and the points' worth, each [metrics].

    Events that come in bursts are one accident, not many: McCullagh & Nelder, Generalized Linear Models, 4.5 and 9.2
    (quasi-likelihood, phi = Pearson's chi-square / degrees of freedom), here of canary_t - baseline_t whose Poisson
    variance is the sum of both means, times the AR(1) inflation. What shakes both sides at once cancels.
    """
    n = both.sum(axis=1).astype(np.float64)
    gap = np.where(both, canary - baseline, 0.0)
    centred = np.where(both, gap - (gap.sum(axis=1) / np.maximum(n, 1.0))[:, None], 0.0)
    mean = np.where(both, canary + baseline, 0.0).sum(axis=1) / np.maximum(n, 1.0)
    variance = (centred**2).sum(axis=1) / np.maximum(n - 1.0, 1.0)
    factor = inflation(centred, both, doubt=_DOUBT)
    with np.errstate(divide="ignore", invalid="ignore"):
        phi = np.where(mean > 0.0, variance * factor / mean, 1.0)
    return np.maximum(phi, 1.0), n / factor


def compare_counts(baseline: Floats, canary: Floats, confidence: float) -> Findings:
    """Did more, or fewer, events happen in the canary? Totals over the points that both sides have.

    Given their sum N, the canary's total of two equal Poisson streams is Binomial(N, 1/2): the exact conditional
    test of Przyborowski & Wilenski, Biometrika 31 (1940). Both totals are first divided by the dispersion, and the
    binomial tail is taken as the regularised incomplete beta function, which needs no whole numbers. The interval of
    the ratio of rates p / (1 - p) is that of Clopper & Pearson, Biometrika 26 (1934). No events in the baseline is
    data: the effect is then infinite. Estimates are per point.
    """
    both = ~np.isnan(baseline) & ~np.isnan(canary)
    n = both.sum(axis=1)
    sums = [np.where(both, np.maximum(side, 0.0), 0.0).sum(axis=1) for side in (baseline, canary)]
    dispersion, effective = _dispersion(baseline, canary, both)
    old, new = sums[0] / dispersion, sums[1] / dispersion
    per_point = np.maximum(n, 1)
    tail = (1.0 - confidence) / 2.0
    with np.errstate(invalid="ignore", divide="ignore"):
        share_low = np.where(new > 0.0, special.betaincinv(np.maximum(new, 1e-9), old + 1.0, tail), 0.0)
        share_high = np.where(old > 0.0, special.betaincinv(new + 1.0, np.maximum(old, 1e-9), 1.0 - tail), 1.0)
        low = np.where(sums[0] > 0.0, sums[0] * (share_low / (1.0 - share_low) - 1.0), 0.0)
        high = np.where(sums[0] > 0.0, sums[0] * (share_high / (1.0 - share_high) - 1.0), np.inf)
    quiet = (sums[0] == 0.0) & (sums[1] == 0.0)
    estimate = (sums[1] - sums[0]) / per_point
    means = [np.where(n > 0, total / per_point, np.nan) for total in sums]
    return Findings(
        estimate=estimate,
        low=low / per_point,
        high=np.where(quiet, 0.0, high / per_point),
        effect=share_of(estimate, np.nan_to_num(means[0])),
        above=np.where(new > 0.0, special.betainc(np.maximum(new, 1e-9), old + 1.0, 0.5), 1.0),
        below=np.where(old > 0.0, special.betainc(np.maximum(old, 1e-9), new + 1.0, 0.5), 1.0),
        points=n,
        effective=effective,
        baseline=means[0],
        canary=means[1],
    )
