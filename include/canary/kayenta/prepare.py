"""What happens to a series before it is compared: gaps, outliers, and the summary that the result shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from include.canary.series import Floats

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Summary:
    """Of one side after preparation; `std` is that of a sample (n - 1; 0 for one point). Without points all are 0."""

    min: float
    max: float
    mean: float
    std: float
    count: int


def remove_gaps(values: Floats) -> Floats:
    """The points that are there."""
    return values[~np.isnan(values)]


def replace_gaps(values: Floats, value: float = 0.0) -> Floats:
    """All points, `value` where one is missing."""
    return np.where(np.isnan(values), value, values)


def percentile(ordered: Floats, percent: float) -> float:
    """Of values in rising order, interpolated between neighbours (type 7 of Hyndman & Fan, Am. Stat. 50 (1996)).

    Infinite neighbours give NaN where they would have to be interpolated, 0 points give NaN.
    """
    if not len(ordered):
        return math.nan
    # Counted from 1 as Kayenta's library does: the last bit decides whether a point is on a fence or beyond it.
    place = 1.0 + (len(ordered) - 1) * (percent / 100.0)
    whole = math.floor(place)
    first = whole - 1
    low = float(ordered[first])
    if first + 1 >= len(ordered):
        return low
    high = float(ordered[first + 1])
    return low if low == high else low + (place - whole) * (high - low)


def iqr_outliers(values: Floats, factor: float, *, reduce_sensitivity: bool) -> Flags:
    """Which points lie further than `factor` interquartile ranges outside the quartiles (Tukey's fences).

    With `reduce_sensitivity` the fences are never inside the 1st and the 99th percentile, so that a side loses its
    most extreme hundredth at most. Judged strictly: a point on a fence stays.
    """
    ordered = np.sort(values)
    low, high = percentile(ordered, 25.0), percentile(ordered, 75.0)
    lower, upper = low - factor * (high - low), high + factor * (high - low)
    if reduce_sensitivity:
        lower = float(np.minimum(percentile(ordered, 1.0), lower))
        upper = float(np.maximum(percentile(ordered, 99.0), upper))
    return (values > upper) | (values < lower)


def ksigma_outliers(values: Floats, k: float) -> Flags:
    """Which points are further than `k` standard deviations (of the population) from the mean."""
    if not len(values):
        return np.zeros(0, dtype=np.bool_)
    return np.abs(values - values.mean()) > k * values.std()


def prepare(values: Floats, *, gaps: Literal["remove", "zero"], outlier_factor: float | None) -> Floats:
    """One side of a metric as it is compared: gaps dealt with first, then outliers (None: all points are kept)."""
    filled = replace_gaps(values) if gaps == "zero" else remove_gaps(values)
    if outlier_factor is None or not len(filled):
        return filled
    return filled[~iqr_outliers(filled, outlier_factor, reduce_sensitivity=True)]


def summarize(values: Floats) -> Summary:
    """The summary of a side without gaps."""
    if not len(values):
        return Summary(0.0, 0.0, 0.0, 0.0, 0)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        return Summary(float(values.min()), float(values.max()), float(values.mean()), spread, len(values))
