"""One number of a curve, and counts where there are none."""

from __future__ import annotations

import numpy as np

from include.peaks.values import Counts, Curve


def mean_level(curve: Curve | None) -> float | None:
    """Requests per second over the whole week; None where nothing is known of it."""
    if curve is None or not np.isfinite(curve.level).any():
        return None
    return float(np.nanmean(curve.level))


def no_counts(period_seconds: int) -> Counts:
    """Of a market of which nothing is known."""
    return Counts(np.array([], dtype=np.int64), np.array([], dtype=np.float64), period_seconds)
