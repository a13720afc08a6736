"""Which periods, times and ages CloudWatch accepts and serves; shared by GetMetricData and GetMetricStatistics.

Periods count from StartTime, which is rounded down first: by the period under a minute, else to the minute (older
than 15 days: 5 minutes, older than 63 days: the hour). Data under a minute's resolution live 3 hours, 1-minute data
15 days, 5-minute data 63 days: a shorter period finds nothing in older time.
"""

from __future__ import annotations

from typing import Any

from include.localcloud.cloudwatch.aggregate import Window
from include.localcloud.cloudwatch.protocol import ApiError, missing
from include.localcloud.cloudwatch.store import HIGH_RESOLUTION_SECONDS

SHORT_PERIODS = frozenset({1, 5, 10, 20, 30})
_MINUTES_AGE = 15 * 86400
_FIVE_MINUTES_AGE = 63 * 86400


def check_period(period: object, parameter: str, code: str) -> int:
    is_number = isinstance(period, int) and not isinstance(period, bool)
    if not is_number or not (period in SHORT_PERIODS or (period > 0 and period % 60 == 0)):  # type: ignore[operator]
        raise ApiError(code, f"The parameter {parameter} must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}.")
    assert isinstance(period, int)
    return period


def read_time_range(parameters: dict[str, Any], code: str) -> tuple[float, float]:
    """(StartTime, EndTime) in seconds since the epoch; ApiError unless start < end."""
    start, end = parameters.get("StartTime"), parameters.get("EndTime")
    for name, value in (("StartTime", start), ("EndTime", end)):
        if value is None:
            raise missing(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ApiError("SerializationException", f"{name} is not a number (seconds since the epoch)")
    assert start is not None and end is not None
    if start >= end:
        raise ApiError(code, "The parameter StartTime must be less than the parameter EndTime.")
    return float(start), float(end)


def make_window(start: float, end: float, period: int, now: float) -> Window:
    """The periods between two times as CloudWatch rounds them; `end` is exclusive."""
    age = now - start
    if period in SHORT_PERIODS:
        grain = period
        end -= end % period
    elif age > _FIVE_MINUTES_AGE:
        grain = 3600
    elif age > _MINUTES_AGE:
        grain = 300
    else:
        grain = 60
    return Window(int(start - start % grain), int(-(-end // 1)), period)


def oldest_served(period: int, now: float) -> float:
    """Data before this moment are not there at this period."""
    if period < 60:
        return now - HIGH_RESOLUTION_SECONDS
    if period % 300:
        return now - _MINUTES_AGE
    if period % 3600:
        return now - _FIVE_MINUTES_AGE
    return float("-inf")
