"""CloudWatch's statistics over periods: pure functions of samples and statistic sets.

A statistic is Average, Sum, Minimum, Maximum, SampleCount, a percentile `pNN[.N]` or a trimmed mean `tmNN[.N]`.
Percentiles and trimmed means are taken over all samples of a period, whoever published them. A percentile
interpolates linearly between the two samples around rank p * (n - 1); `tmNN` is the mean of the lowest NN % of the
samples, the last one counted by the fraction that falls inside. AWS does not publish either formula.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from include.localcloud.cloudwatch.chunks import Floats, Samples, Times

SIMPLE_STATISTICS = ("Average", "Sum", "Minimum", "Maximum", "SampleCount")
_EXTENDED = re.compile(r"^(p|tm)(\d{1,3}(?:\.\d{1,10})?)$", re.IGNORECASE)


@dataclass(frozen=True)
class StatisticSet:
    """What StatisticValues publishes: `count` samples of which only the sum and the bounds are known."""

    time: int
    count: float
    total: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Window:
    """Periods of `period` seconds counted from `start`; a sample belongs if start <= time < end."""

    start: int
    end: int
    period: int


@dataclass(frozen=True)
class Points:
    """Starts of the periods that have data, ascending (int64 seconds since the epoch), and their statistic."""

    times: Times
    values: Floats


def parse_extended(stat: str) -> tuple[str, float] | None:
    """('p'|'tm', percent) or None where `stat` is not an extended statistic with a percent of 0-100."""
    match = _EXTENDED.match(stat)
    if match is None or float(match[2]) > 100:
        return None
    return match[1].lower(), float(match[2])


def is_statistic(stat: str) -> bool:
    return stat in SIMPLE_STATISTICS or parse_extended(stat) is not None


def aggregate(samples: Samples, sets: list[StatisticSet], window: Window, stat: str) -> Points:
    """`stat` (see the module; anything else: ValueError) per period that has data."""
    inside = (samples.times >= window.start) & (samples.times < window.end)
    index = (samples.times[inside] - window.start) // window.period
    values, counts = samples.values[inside], samples.weights()[inside]
    sets = [one for one in sets if window.start <= one.time < window.end]
    if stat in SIMPLE_STATISTICS:
        periods, result = _simple(index, values, counts, sets, window, stat)
    else:
        periods, result = _extended(index, values, counts, sets, window, stat)
    return Points(periods * window.period + window.start, result)


def _simple(
    index: Times, values: Floats, counts: Floats, sets: list[StatisticSet], window: Window, stat: str
) -> tuple[Times, Floats]:
    totals, lows, highs = values * counts, values, values
    if sets:
        index = np.append(index, [(one.time - window.start) // window.period for one in sets])
        counts = np.append(counts, [one.count for one in sets])
        totals = np.append(totals, [one.total for one in sets])
        lows = np.append(lows, [one.minimum for one in sets])
        highs = np.append(highs, [one.maximum for one in sets])
    if not len(index):
        return index, np.empty(0)
    order = np.argsort(index, kind="stable")
    index = index[order]
    starts = _starts(index)
    if stat == "Minimum":
        result = np.minimum.reduceat(lows[order], starts)
    elif stat == "Maximum":
        result = np.maximum.reduceat(highs[order], starts)
    elif stat == "SampleCount":
        result = np.add.reduceat(counts[order], starts)
    else:
        result = np.add.reduceat(totals[order], starts)
        if stat == "Average":
            result = result / np.add.reduceat(counts[order], starts)
    return index[starts], result


def _extended(
    index: Times, values: Floats, counts: Floats, sets: list[StatisticSet], window: Window, stat: str
) -> tuple[Times, Floats]:
    parsed = parse_extended(stat)
    if parsed is None:
        raise ValueError(f"unknown statistic {stat!r}")
    if sets:
        # A set hides its samples: CloudWatch has no percentile for a period that contains one.
        hidden = np.unique([(one.time - window.start) // window.period for one in sets])
        known = ~np.isin(index, hidden)
        index, values, counts = index[known], values[known], counts[known]
    if not len(index):
        return index, np.empty(0)
    order = np.lexsort((values, index))
    index, values, counts = index[order], values[order], counts[order]
    starts = _starts(index)
    kind, percent = parsed
    calculate = _percentile if kind == "p" else _trimmed_mean
    return index[starts], calculate(values, counts, starts, percent / 100)


def _starts(index: Times) -> Times:
    return np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1])))


def _percentile(values: Floats, counts: Floats, starts: Times, fraction: float) -> Floats:
    cumulated = np.cumsum(counts)
    before = cumulated[starts] - counts[starts]
    sizes = np.add.reduceat(counts, starts)
    last = np.append(starts[1:], len(values)) - 1
    rank = np.maximum(sizes - 1, 0) * fraction
    lower = np.minimum(np.searchsorted(cumulated, before + np.floor(rank), side="right"), last)
    upper = np.minimum(np.searchsorted(cumulated, before + np.floor(rank) + 1, side="right"), last)
    return values[lower] + (values[upper] - values[lower]) * (rank - np.floor(rank))


def _trimmed_mean(values: Floats, counts: Floats, starts: Times, fraction: float) -> Floats:
    if fraction == 0:
        return values[starts]
    cumulated = np.cumsum(counts)
    sizes = np.add.reduceat(counts, starts)
    before = np.repeat(cumulated[starts] - counts[starts], np.diff(np.append(starts, len(values))))
    kept = np.repeat(sizes * fraction, np.diff(np.append(starts, len(values))))
    share = np.clip(kept - (cumulated - before - counts), 0, counts)
    return np.add.reduceat(values * share, starts) / np.add.reduceat(share, starts)
