"""GetMetricData: up to 500 queries a call, up to 100,800 points a page, newest first unless asked otherwise.

A page is filled query by query. A query cut by the page's end is answered with what fits, PartialData and a
NextToken; the next page goes on behind its last timestamp, so data that arrive in between are neither repeated nor
shifted. Queries behind the cut are left to the next page. Metric math and Metrics Insights are refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from include.localcloud.cloudwatch.aggregate import Points, Window, aggregate, is_statistic
from include.localcloud.cloudwatch.chunks import Samples
from include.localcloud.cloudwatch.ingest import check_namespace
from include.localcloud.cloudwatch.periods import check_period, make_window, oldest_served, read_time_range
from include.localcloud.cloudwatch.protocol import ApiError, read_token, write_token
from include.localcloud.cloudwatch.store import MetricStore, SeriesKey, sort_dimensions

MAX_QUERIES = 500
MAX_POINTS = 100_800
DESCENDING, ASCENDING = "TimestampDescending", "TimestampAscending"
_ID = re.compile(r"^[a-z][a-zA-Z0-9_]{0,254}$")


@dataclass(frozen=True)
class Query:
    query_id: str
    label: str
    namespace: str
    key: SeriesKey
    period: int
    stat: str
    unit: str | None
    is_returned: bool


def get_metric_data(store: MetricStore, account: str, region: str, parameters: dict[str, Any], now: float) -> bytes:
    """The answer's JSON; ApiError (ValidationError) names what is wrong."""
    queries = _read_queries(parameters)
    start, end = read_time_range(parameters, "ValidationError")
    is_descending = _read_order(parameters)
    room = _read_max_points(parameters)
    digest = _digest(parameters)
    position, behind = 0, None
    if parameters.get("NextToken"):
        token = read_token(parameters["NextToken"], digest=digest)
        position, behind = token["query"], token["behind"]
    render = _Renderer()
    results: list[str] = []
    next_token = None
    while position < len(queries):
        query = queries[position]
        if query.is_returned:
            window = make_window(start, end, query.period, now)
            points = _order(read_points(store, account, region, query, window, now), is_descending, behind)
            is_cut = len(points.times) > room
            if is_cut and room == 0:
                next_token = write_token({"digest": digest, "query": position, "behind": behind})
                break
            points = Points(points.times[:room], points.values[:room]) if is_cut else points
            room -= len(points.times)
            results.append(render.result(query, points, is_complete=not is_cut))
            if is_cut:
                last = int(points.times[-1])
                next_token = write_token({"digest": digest, "query": position, "behind": last})
                break
        position, behind = position + 1, None
    tail = f', "NextToken": {json.dumps(next_token)}' if next_token else ""
    return f'{{"MetricDataResults": [{", ".join(results)}], "Messages": []{tail}}}'.encode()


def read_points(store: MetricStore, account: str, region: str, query: Query, window: Window, now: float) -> Points:
    """The statistic of one query per period, ascending; nothing for an unknown series, unit or too old data."""
    partition = store.find_partition(account, region, query.namespace)
    reading = partition.read(query.key, window.start, window.end) if partition else None
    if reading is None or (query.unit is not None and query.unit != reading.unit):
        return Points(np.empty(0, np.int64), np.empty(0))
    samples, sets = reading.samples, reading.sets
    oldest = oldest_served(query.period, now)
    if window.start < oldest:
        known = samples.times >= oldest
        counts = None if samples.counts is None else samples.counts[known]
        samples = Samples(samples.times[known], samples.values[known], counts)
        sets = [one for one in sets if one.time >= oldest]
    return aggregate(samples, sets, window, query.stat)


class _Renderer:
    """Series of a call mostly share their timestamps: their text is made once."""

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}

    def result(self, query: Query, points: Points, *, is_complete: bool) -> str:
        raw = points.times.tobytes()
        times = self._texts.get(raw)
        if times is None:
            times = self._texts[raw] = json.dumps(points.times.tolist())
        status = "Complete" if is_complete else "PartialData"
        return (
            f'{{"Id": "{query.query_id}", "Label": {json.dumps(query.label)}, "Timestamps": {times}, '
            f'"Values": {json.dumps(points.values.tolist())}, "StatusCode": "{status}"}}'
        )


def _order(points: Points, is_descending: bool, behind: int | None) -> Points:
    if is_descending:
        points = Points(points.times[::-1], points.values[::-1])
    if behind is None:
        return points
    rest = points.times < behind if is_descending else points.times > behind
    return Points(points.times[rest], points.values[rest])


def _digest(parameters: dict[str, Any]) -> str:
    same = {name: value for name, value in parameters.items() if name not in {"NextToken", "MaxDatapoints"}}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16]


def _read_order(parameters: dict[str, Any]) -> bool:
    order = parameters.get("ScanBy", DESCENDING)
    if order not in {ASCENDING, DESCENDING}:
        raise ApiError("ValidationError", f"ScanBy must be {ASCENDING} or {DESCENDING}, not {order}.")
    return bool(order == DESCENDING)


def _read_max_points(parameters: dict[str, Any]) -> int:
    limit = parameters.get("MaxDatapoints", MAX_POINTS)
    if not isinstance(limit, int) or not 0 < limit <= MAX_POINTS:
        raise ApiError("ValidationError", f"MaxDatapoints must be between 1 and {MAX_POINTS}, not {limit}.")
    return limit


def _read_queries(parameters: dict[str, Any]) -> list[Query]:
    given = parameters.get("MetricDataQueries")
    if not given:
        raise ApiError("ValidationError", "The parameter MetricDataQueries is required and must not be empty.")
    if len(given) > MAX_QUERIES:
        raise ApiError(
            "ValidationError", f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}."
        )
    queries = [_read_query(one, f"MetricDataQueries.member.{number}") for number, one in enumerate(given, 1)]
    if len({query.query_id for query in queries}) < len(queries):
        raise ApiError("ValidationError", "The values of Id in MetricDataQueries must be unique.")
    return queries


def _read_query(given: dict[str, Any], place: str) -> Query:
    query_id, asked = given.get("Id"), given.get("MetricStat")
    if not isinstance(query_id, str) or _ID.match(query_id) is None:
        raise ApiError(
            "ValidationError", f"The value {query_id} for parameter {place}.Id is not matching {_ID.pattern}"
        )
    if given.get("Expression") is not None:
        raise ApiError("ValidationError", f"{place}.Expression: the local cloud has no metric math; use MetricStat.")
    if not asked:
        raise ApiError("ValidationError", f"The parameter {place}.MetricStat is required.")
    metric, stat = asked.get("Metric") or {}, asked.get("Stat")
    if not isinstance(stat, str) or not is_statistic(stat):
        raise ApiError(
            "ValidationError",
            f"The value {stat} for parameter {place}.MetricStat.Stat is not a statistic that is known here "
            "(Average, Sum, Minimum, Maximum, SampleCount, pNN.N, tmNN).",
        )
    name = metric.get("MetricName")
    if not name:
        raise ApiError("ValidationError", f"The parameter {place}.MetricStat.Metric.MetricName is required.")
    return Query(
        query_id=query_id,
        label=given.get("Label") or name,
        namespace=_checked_namespace(metric, place),
        key=(name, read_dimension_set(metric.get("Dimensions"))),
        period=check_period(asked.get("Period"), f"{place}.MetricStat.Period", "ValidationError"),
        stat=stat,
        unit=asked.get("Unit"),
        is_returned=given.get("ReturnData", True),
    )


def _checked_namespace(metric: dict[str, Any], place: str) -> str:
    try:
        return check_namespace(metric.get("Namespace"))
    except ApiError as error:
        raise ApiError("ValidationError", f"{place}.MetricStat.Metric: {error.message}") from None


def read_dimension_set(dimensions: list[dict[str, str]] | None) -> tuple[tuple[str, str], ...]:
    """Dimensions of a request as a series' key has them, whatever their order."""
    return sort_dimensions({dimension["Name"]: dimension["Value"] for dimension in dimensions or []})
