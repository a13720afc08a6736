"""The CloudWatch metric store: names of a group's series, and their values on one grid of times.

Works on any boto3 CloudWatch client; throttling is retried by the client's own configuration (mode `standard`),
which also wants `max_pool_connections` >= 4. Nothing here knows which cloud answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from include.canary.series import MetricGrid
from include.errors import ConfigError, RedstartError, RefusedError, RetryableError

QUERIES_PER_CALL = 500
POINTS_PER_CALL = 100_800
CONCURRENCY = 4
INSTANCE_NAMESPACE = "Redstart/Instance"
_SHORT_STEPS = frozenset({1, 5, 10, 20, 30})
_WRONG_QUERY = frozenset(
    {
        "ValidationError",
        "ValidationException",
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "MissingParameter",
    }
)
# A gateway's HTML in place of an answer is a ResponseParserError, which is no BotoCoreError.
_NO_ANSWER = (BotoCoreError, ResponseParserError)
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"})
# A call refused for one query is halved until that query stands alone: 9 more calls for each bad name in 500. If
# more than this many calls are refused, it is not a matter of single names.
_MAX_REFUSED_CALLS = 200


@dataclass(frozen=True)
class _Query:
    """One series to be read; `row` is its place in the grid's values: (scope, name)."""

    name: str
    namespace: str
    dimensions: Mapping[str, str]
    stat: str
    row: tuple[int, int]


@dataclass
class _Grid:
    """What the calls of one fetch share; calls run in threads, but each writes rows of its own."""

    start: datetime
    step_seconds: int
    values: npt.NDArray[np.float64]
    errors: dict[str, str] = field(default_factory=dict)
    refused_calls: int = 0

    @property
    def points(self) -> int:
        return int(self.values.shape[2])

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.step_seconds * self.points)


class CloudWatchMetrics:
    """Reads series through `client`, a boto3 CloudWatch client of one account and region."""

    def __init__(self, client: Any, *, concurrency: int = CONCURRENCY) -> None:
        self._client = client
        self._concurrency = concurrency

    def discover(self, namespace: str, dimensions: Mapping[str, str]) -> list[str]:
        """Sorted names of the series whose dimensions are exactly these; RetryableError if CloudWatch did not answer.

        On AWS a new series is listed up to 15 minutes after its first datum.
        """
        wanted = dict(dimensions)
        asked = [{"Name": name, "Value": value} for name, value in wanted.items()]
        names = set()
        for metric in _list_metrics(self._client, Namespace=namespace, Dimensions=asked):
            if _dimensions_of(metric) == wanted:
                names.add(metric["MetricName"])
        return sorted(names)

    def fetch(
        self,
        names: Sequence[str],
        namespace: str,
        scopes: Mapping[str, Mapping[str, str]],
        start: datetime,
        end: datetime,
        step_seconds: int,
        stat: str | Callable[[str], str] = "Average",
    ) -> MetricGrid:
        """Every name in every scope (label -> exact dimensions) over the whole steps inside [start, end).

        Steps lie on multiples of `step_seconds` since the epoch, so the grid may begin up to one step after `start`.
        `stat` is CloudWatch's word for what to make of a step's samples, for all names or name by name.
        CloudWatch serves steps under 60 s for 3 hours only: older ones are NaN. A name whose query is refused in any
        scope is NaN in all and stands in `errors`. Raises ConfigError for a step that CloudWatch does not know or
        times without zone, RetryableError where it did not answer, RefusedError where it refuses altogether.
        """
        first, points = _whole_steps(start, end, step_seconds)
        values = np.full((len(scopes), len(names), points), np.nan)
        grid = _Grid(first, step_seconds, values)
        stat_of = stat if callable(stat) else lambda _name: stat
        queries = [
            _Query(name, namespace, dimensions, stat_of(name), (scope_index, name_index))
            for name_index, name in enumerate(names)
            for scope_index, dimensions in enumerate(scopes.values())
        ]
        if points:
            size = max(1, min(QUERIES_PER_CALL, POINTS_PER_CALL // points))
            batches = [queries[index : index + size] for index in range(0, len(queries), size)]
            with ThreadPoolExecutor(self._concurrency, thread_name_prefix="cloudwatch") as pool:
                list(pool.map(lambda batch: self._read_batch(batch, grid), batches))
        for name_index, name in enumerate(names):
            if name in grid.errors:
                values[:, name_index, :] = np.nan
        return MetricGrid(tuple(names), tuple(scopes), first, step_seconds, values, grid.errors)

    def _read_batch(self, batch: list[_Query], grid: _Grid) -> None:
        queries = [_to_query(f"q{index}", query, grid) for index, query in enumerate(batch)]
        try:
            for result in _get_metric_data(self._client, queries, grid.start, grid.end):
                _store_result(result, batch[int(result["Id"][1:])], grid)
        except _WrongQueryError as error:
            grid.refused_calls += 1
            if grid.refused_calls > _MAX_REFUSED_CALLS:
                raise RefusedError(f"CloudWatch refuses too many queries, the last for: {error}") from error
            if len(batch) == 1:
                grid.errors[batch[0].name] = str(error)
                return
            half = len(batch) // 2
            self._read_batch(batch[:half], grid)
            self._read_batch(batch[half:], grid)


def count_requests_per_instance(
    client: Any,
    group: str,
    seconds: int,
    *,
    instance_ids: Sequence[str] | None = None,
    now: datetime | None = None,
) -> dict[str, float]:
    """Requests served per instance id of `group` in the last `seconds`; an instance without data is absent.

    Give `instance_ids` where they are known: without them the instances are looked up by ListMetrics, which on AWS
    shows a new one only after up to 15 minutes. `now` defaults to the wall clock. Errors as `fetch`.
    """
    end = (now or datetime.now(UTC)) + timedelta(seconds=5)  # the running 5 s period belongs to "now" as well
    if instance_ids is None:
        instance_ids = _list_instances(client, group)
    counts: dict[str, float] = {}
    for index in range(0, len(instance_ids), QUERIES_PER_CALL):
        some = instance_ids[index : index + QUERIES_PER_CALL]
        queries = [_instance_query(f"q{number}", group, instance) for number, instance in enumerate(some)]
        try:
            for result in _get_metric_data(client, queries, end - timedelta(seconds=seconds + 5), end):
                if result["Values"]:
                    instance = some[int(result["Id"][1:])]
                    counts[instance] = counts.get(instance, 0.0) + sum(result["Values"])
        except _WrongQueryError as error:
            raise RefusedError(f"{INSTANCE_NAMESPACE} RequestCount of {group}: {error}") from error
    return counts


class _WrongQueryError(Exception):
    """CloudWatch (or botocore's own check) will not take at least one query of the call."""


def _whole_steps(start: datetime, end: datetime, step_seconds: int) -> tuple[datetime, int]:
    for key, value in (("start", start), ("end", end)):
        if value.tzinfo is None:
            raise ConfigError("needs a time zone", source="metric query", key=key, value=value.isoformat())
    if step_seconds not in _SHORT_STEPS and (step_seconds <= 0 or step_seconds % 60):
        reason = "must be 1, 5, 10, 20, 30 or a multiple of 60"
        raise ConfigError(reason, source="metric query", key="step_seconds", value=step_seconds)
    first = -(-start.timestamp() // step_seconds) * step_seconds
    points = int(max(0, (end.timestamp() - first) // step_seconds))
    return datetime.fromtimestamp(first, UTC), points


def _to_query(query_id: str, query: _Query, grid: _Grid) -> dict[str, Any]:
    metric = {"Namespace": query.namespace, "MetricName": query.name, "Dimensions": _as_list(query.dimensions)}
    return {"Id": query_id, "MetricStat": {"Metric": metric, "Period": grid.step_seconds, "Stat": query.stat}}


def _instance_query(query_id: str, group: str, instance_id: str) -> dict[str, Any]:
    dimensions = _as_list({"AutoScalingGroupName": group, "InstanceId": instance_id})
    metric = {"Namespace": INSTANCE_NAMESPACE, "MetricName": "RequestCount", "Dimensions": dimensions}
    return {"Id": query_id, "MetricStat": {"Metric": metric, "Period": 5, "Stat": "Sum"}}


def _as_list(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def _dimensions_of(metric: Mapping[str, Any]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}


def _list_instances(client: Any, group: str) -> list[str]:
    asked = [{"Name": "AutoScalingGroupName", "Value": group}]
    metrics = _list_metrics(
        client, Namespace=INSTANCE_NAMESPACE, MetricName="RequestCount", Dimensions=asked, RecentlyActive="PT3H"
    )
    found = (_dimensions_of(metric) for metric in metrics)
    return sorted({own["InstanceId"] for own in found if own.keys() == {"AutoScalingGroupName", "InstanceId"}})


def _store_result(result: Mapping[str, Any], query: _Query, grid: _Grid) -> None:
    if result["StatusCode"] in {"InternalError", "Forbidden"}:
        said = " ".join(message.get("Value", "") for message in result.get("Messages", []))
        grid.errors[query.name] = f"{result['StatusCode']} {said}".strip()
        return
    first = grid.start.timestamp()
    times = np.fromiter((time.timestamp() for time in result["Timestamps"]), np.float64, len(result["Timestamps"]))
    steps = ((times - first) // grid.step_seconds).astype(np.int64)
    inside = (steps >= 0) & (steps < grid.points)
    grid.values[query.row][steps[inside]] = np.asarray(result["Values"], np.float64)[inside]


def _get_metric_data(
    client: Any, queries: list[dict[str, Any]], start: datetime, end: datetime
) -> Iterator[dict[str, Any]]:
    """Results of all pages; one Id may come on several."""
    try:
        token: str | None = None
        while True:
            more = {"NextToken": token} if token else {}
            page = client.get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=end, **more)
            yield from page["MetricDataResults"]
            token = page.get("NextToken")
            if not token:
                return
    except ParamValidationError as error:
        raise _WrongQueryError(str(error)) from error
    except ClientError as error:
        if error.response["Error"]["Code"] in _WRONG_QUERY:
            raise _WrongQueryError(error.response["Error"]["Message"]) from error
        raise _translate(error, "GetMetricData", client) from error
    except _NO_ANSWER as error:
        raise _translate(error, "GetMetricData", client) from error


def _list_metrics(client: Any, **asked: Any) -> Iterator[dict[str, Any]]:
    try:
        for page in client.get_paginator("list_metrics").paginate(**asked):
            yield from page["Metrics"]
    except (ClientError, *_NO_ANSWER) as error:
        raise _translate(error, "ListMetrics", client) from error


def _translate(error: Exception, call: str, client: Any) -> RedstartError:
    where = f"{call} in {client.meta.region_name}: {error}"
    if isinstance(error, ParamValidationError):
        return RefusedError(where)
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in _REFUSED | _WRONG_QUERY:
        return RefusedError(where)
    return RetryableError(where)
