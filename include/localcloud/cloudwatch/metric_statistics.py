"""GetMetricStatistics: one metric, several statistics, at most 1,440 points."""

from __future__ import annotations

from typing import Any

from include.localcloud.cloudwatch.aggregate import SIMPLE_STATISTICS, parse_extended
from include.localcloud.cloudwatch.ingest import check_namespace
from include.localcloud.cloudwatch.periods import check_period, make_window, read_time_range
from include.localcloud.cloudwatch.protocol import ApiError, invalid_value, missing
from include.localcloud.cloudwatch.queries import Query, read_dimension_set, read_points
from include.localcloud.cloudwatch.store import MetricStore

MAX_POINTS = 1440


def get_metric_statistics(
    store: MetricStore, account: str, region: str, parameters: dict[str, Any], now: float
) -> dict[str, Any]:
    """The answer as JSON values; ApiError names what is wrong. Datapoints come in ascending order (AWS: in none)."""
    namespace, name = check_namespace(parameters.get("Namespace")), parameters.get("MetricName")
    if not name:
        raise missing("MetricName")
    start, end = read_time_range(parameters, "InvalidParameterValue")
    period = check_period(parameters.get("Period"), "Period", "InvalidParameterValue")
    stats = _read_statistics(parameters)
    window = make_window(start, end, period, now)
    asked = -(-(window.end - window.start) // period)
    if asked > MAX_POINTS:
        raise ApiError(
            "InvalidParameterCombination",
            f"You have requested up to {asked:,} datapoints, which exceeds the limit of {MAX_POINTS:,}. You may reduce "
            "the datapoints requested by increasing Period, or decreasing the time range.",
        )
    unit = parameters.get("Unit")
    key = (name, read_dimension_set(parameters.get("Dimensions")))
    partition = store.find_partition(account, region, namespace)
    series = partition.series.get(key) if partition else None
    points: dict[int, dict[str, Any]] = {}
    for stat in stats:
        query = Query("m", name, namespace, key, period, stat, unit, is_returned=True)
        found = read_points(store, account, region, query, window, now)
        for time, value in zip(found.times.tolist(), found.values.tolist(), strict=True):
            point = points.setdefault(time, {"Timestamp": time, "Unit": series.unit if series else "None"})
            if stat in SIMPLE_STATISTICS:
                point[stat] = value
            else:
                point.setdefault("ExtendedStatistics", {})[stat] = value
    return {"Label": name, "Datapoints": [points[time] for time in sorted(points)]}


def _read_statistics(parameters: dict[str, Any]) -> list[str]:
    simple, extended = parameters.get("Statistics") or [], parameters.get("ExtendedStatistics") or []
    if bool(simple) == bool(extended):
        raise ApiError("InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics")
    for stat in simple:
        if stat not in SIMPLE_STATISTICS:
            raise invalid_value("Statistics", stat)
    for stat in extended:
        if parse_extended(stat) is None:
            raise invalid_value("ExtendedStatistics", stat)
    return [*simple, *extended]
