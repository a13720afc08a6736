"""The CloudWatch adapter against a client that answers from a table, one page at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from botocore.parsers import ResponseParserError

from include.adapters import metric_store
from include.adapters.cloudwatch_metrics import CloudWatchMetrics
from include.adapters.metric_store import MetricStore
from include.errors import ConfigError, RefusedError, RetryableError

NOON = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
SCOPES = {"baseline": {"AutoScalingGroupName": "b"}, "canary": {"AutoScalingGroupName": "c"}}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits themselves are tested on a clock of their own, in test_metric_store."""
    monkeypatch.setattr(metric_store, "_FIRST_WAIT_SECONDS", 0.001)


def client_error(code: str, message: str = "no", **headers: str) -> ClientError:
    about = {"HTTPHeaders": {name.replace("_", "-"): value for name, value in headers.items()}}
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": about}
    return ClientError(answer, "GetMetricData")


class TableClient:
    """Every series has the value `minutes + 100 * (scope is canary)` each step; `refuse` may raise for a query."""

    def __init__(
        self, *, page_points: int = 100_800, refuse: Callable[[str], Exception | None] = lambda _: None
    ) -> None:
        self.page_points, self.refuse = page_points, refuse
        self.calls: list[list[str]] = []
        self.tokens: list[str | None] = []
        self.after_calls: dict[int, Callable[[], object]] = {}
        self.refuse_call: dict[int, Exception] = {}
        self.refuse_listing: list[Exception] = []
        self.statuses: dict[str, tuple[str, str]] = {}
        self.metrics: list[dict[str, Any]] = []
        self.most_at_once = self._now_running = 0
        self.pause: threading.Barrier | None = None
        self.meta = SimpleNamespace(region_name="us-east-1")
        self._lock = threading.Lock()

    def get_metric_data(self, **asked: Any) -> dict[str, Any]:
        with self._lock:
            self.calls.append([query["MetricStat"]["Metric"]["MetricName"] for query in asked["MetricDataQueries"]])
            self.tokens.append(asked.get("NextToken"))
            number = len(self.calls)
            self._now_running += 1
            self.most_at_once = max(self.most_at_once, self._now_running)
        try:
            if self.pause is not None:
                self.pause.wait(timeout=10)
            if number in self.refuse_call:
                raise self.refuse_call[number]
            return self._answer(asked)
        finally:
            self.after_calls.get(number, int)()
            with self._lock:
                self._now_running -= 1

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        for query in asked["MetricDataQueries"]:
            error = self.refuse(query["MetricStat"]["Metric"]["MetricName"])
            if error is not None:
                raise error
        points = list(self._points(asked))
        first = int(asked.get("NextToken", 0))
        page: dict[str, Any] = {"MetricDataResults": list(self._results(points[first : first + self.page_points]))}
        if first + self.page_points < len(points):
            page["NextToken"] = str(first + self.page_points)
        return page

    def _points(self, asked: Mapping[str, Any]) -> Iterator[tuple[str, str, datetime, float]]:
        for query in asked["MetricDataQueries"]:
            metric, period = query["MetricStat"]["Metric"], query["MetricStat"]["Period"]
            shift = 100.0 if metric["Dimensions"][0]["Value"] == "c" else 0.0
            count = int((asked["EndTime"] - asked["StartTime"]).total_seconds()) // period
            for step in reversed(range(count)):
                at = asked["StartTime"] + timedelta(seconds=step * period)
                yield query["Id"], metric["MetricName"], at, step + shift

    def _results(self, points: list[tuple[str, str, datetime, float]]) -> Iterator[dict[str, Any]]:
        for query_id, name, at, value in points:
            status, words = self.statuses.get(name, ("Complete", ""))
            yield {
                "Id": query_id, "StatusCode": status, "Messages": [{"Code": "x", "Value": words}],
                "Timestamps": [at], "Values": [value],
            }  # fmt: skip

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_metrics"

        def paginate(**_: Any) -> Iterator[dict[str, Any]]:
            for metric in self.metrics:
                if self.refuse_listing:
                    raise self.refuse_listing.pop()
                yield {"Metrics": [metric]}

        return SimpleNamespace(paginate=paginate)


def fetch(client: TableClient, names: list[str], *, minutes: int = 3, step: int = 60, **more: Any) -> Any:
    asked = {"patience_seconds": 0} | more
    return CloudWatchMetrics(client).fetch(names, "Api", SCOPES, NOON, NOON + timedelta(minutes=minutes), step, **asked)


def test_every_point_lands_on_its_step_whatever_the_pages_and_their_order() -> None:
    for page_points in (1, 2, 5, 1000):
        grid = fetch(TableClient(page_points=page_points), ["a", "b"])
        assert (grid.names, grid.scopes, grid.start, grid.step_seconds) == (
            ("a", "b"),
            ("baseline", "canary"),
            NOON,
            60,
        )
        np.testing.assert_array_equal(grid.values, [[[0, 1, 2]] * 2, [[100, 101, 102]] * 2])
        assert grid.errors == {}


def test_only_whole_steps_inside_the_span_are_read() -> None:
    grid = CloudWatchMetrics(TableClient()).fetch(
        ["a"], "Api", SCOPES, NOON + timedelta(seconds=3), NOON + timedelta(seconds=28), 10
    )
    assert grid.start == NOON + timedelta(seconds=10)
    assert grid.values.shape == (2, 1, 1)
    empty = CloudWatchMetrics(TableClient()).fetch(["a"], "Api", SCOPES, NOON, NOON, 10)
    assert empty.values.shape == (2, 1, 0)


def test_a_point_that_is_missing_is_nan() -> None:
    client = TableClient()
    client._points = lambda asked: iter([("q0", "a", NOON + timedelta(minutes=1), 7.0)])  # type: ignore[method-assign]
    grid = fetch(client, ["a"])
    np.testing.assert_array_equal(grid.values[0, 0], [np.nan, 7.0, np.nan])
    assert np.isnan(grid.values[1]).all()


def test_calls_hold_500_queries_and_100800_points_and_four_run_at_once() -> None:
    client = TableClient()
    client.pause = threading.Barrier(4)
    fetch(client, [f"m{n}" for n in range(1000)])
    assert sorted(map(len, client.calls)) == [500] * 4
    assert client.most_at_once == 4
    long = TableClient()
    long._points = lambda _: iter(())  # type: ignore[method-assign]
    fetch(long, [f"m{n}" for n in range(150)], minutes=480)
    assert sorted(map(len, long.calls)) == [90, 210]


@pytest.mark.parametrize(
    "error",
    [client_error("ValidationError", "bad name"), ParamValidationError(report="bad name")],
    ids=["service", "botocore"],
)
def test_a_refused_name_fails_alone(error: Exception) -> None:
    names = [f"m{n}" for n in range(40)]
    client = TableClient(refuse=lambda name: error if name in {"m7", "m31"} else None)
    grid = fetch(client, names)
    assert set(grid.errors) == {"m7", "m31"}
    assert "bad name" in grid.errors["m7"]
    lost = [names.index("m7"), names.index("m31")]
    assert np.isnan(grid.values[:, lost]).all()
    assert not np.isnan(np.delete(grid.values, lost, axis=1)).any()


def test_when_every_name_is_refused_it_is_not_a_matter_of_names() -> None:
    client = TableClient(refuse=lambda _: client_error("ValidationError", "the statistic"))
    with pytest.raises(RefusedError, match="the statistic"):
        fetch(client, [f"m{n}" for n in range(500)], stat="Mean")
    assert len(client.calls) < 300


def test_a_result_that_failed_on_the_server_is_an_error_of_its_name() -> None:
    client = TableClient()
    client.statuses["b"] = ("InternalError", "try later")
    store = CloudWatchMetrics(client)
    grid = store.fetch(["a", "b"], "Api", SCOPES, NOON, NOON + timedelta(minutes=3), 60, patience_seconds=0)
    assert grid.errors == {"b": "InternalError try later"}
    assert np.isnan(grid.values[:, 1]).all()
    assert not np.isnan(grid.values[:, 0]).any()
    assert store.health.unanswered == {"b": "InternalError try later"}


def test_only_what_failed_on_the_server_is_asked_for_again() -> None:
    client = TableClient()
    client.statuses |= {"b": ("InternalError", "try later"), "d": ("Forbidden", "not yours")}
    client.after_calls[2] = lambda: client.statuses.pop("b")
    store = CloudWatchMetrics(client)
    grid = store.fetch(["a", "b", "c", "d"], "Api", SCOPES, NOON, NOON + timedelta(minutes=3), 60, patience_seconds=60)
    assert [sorted(set(names)) for names in client.calls] == [["a", "b", "c", "d"], ["b"], ["b"]]
    assert grid.errors == {"d": "Forbidden not yours"}
    np.testing.assert_array_equal(grid.values[:, 1], [[0, 1, 2], [100, 101, 102]])
    assert (store.health.incomplete, store.health.unanswered) == (2, {})
    assert "2 answers left metrics out" in store.health.describe()


def test_a_page_that_was_throttled_is_asked_for_again_and_those_before_it_are_not() -> None:
    client = TableClient(page_points=4)
    throttled = [client_error("Throttling", "rate exceeded", retry_after="0"), client_error("RequestLimitExceeded")]
    client.refuse_call = {2: throttled[0], 3: throttled[1]}
    store = CloudWatchMetrics(client)
    grid = store.fetch(["a", "b"], "Api", SCOPES, NOON, NOON + timedelta(minutes=3), 60, patience_seconds=60)
    np.testing.assert_array_equal(grid.values, [[[0, 1, 2]] * 2, [[100, 101, 102]] * 2])
    assert client.tokens == [None, "4", "4", "4", "8"]
    assert (store.health.calls, store.health.failed, store.health.throttled) == (5, 2, 2)


def test_a_call_that_stays_unanswered_costs_its_names_and_not_the_others() -> None:
    names = [f"m{n}" for n in range(1000)]
    client = TableClient(refuse=lambda name: client_error("InternalServiceError", "oh") if name == "m10" else None)
    store = CloudWatchMetrics(client)
    grid = store.fetch(names, "Api", SCOPES, NOON, NOON + timedelta(minutes=3), 60, patience_seconds=0)
    assert set(grid.errors) == set(store.health.unanswered) == set(names[:250])
    assert "GetMetricData in us-east-1" in grid.errors["m0"]
    assert np.isnan(grid.values[:, :250]).all()
    assert not np.isnan(grid.values[:, 250:]).any()
    assert store.health.throttled == 0


def test_the_names_of_a_group_are_asked_for_again_as_well() -> None:
    client = TableClient()
    client.metrics = [{"MetricName": "a", "Dimensions": []}]
    client.refuse_listing = [client_error("Throttling"), client_error("Throttling")]
    assert CloudWatchMetrics(client).discover("Api", {}, patience_seconds=60) == ["a"]
    client.refuse_listing = [client_error("Throttling")]
    with pytest.raises(RetryableError, match="ListMetrics in us-east-1"):
        CloudWatchMetrics(client).discover("Api", {}, patience_seconds=0)


def test_a_namespace_is_a_metric_store() -> None:
    client = TableClient()
    client.metrics = [{"MetricName": "a", "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "b"}]}]
    store: MetricStore = CloudWatchMetrics(client).of_namespace("Api")
    end = NOON + timedelta(minutes=3)
    assert store.discover(SCOPES["baseline"], NOON, end) == ["a"]
    grid = store.fetch(["a"], SCOPES, NOON, end, 60)
    np.testing.assert_array_equal(grid.values[:, 0], [[0, 1, 2], [100, 101, 102]])
    assert store.health.calls == 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (client_error("Throttling"), RetryableError),
        (client_error("InternalServiceError"), RetryableError),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), RetryableError),
        (ResponseParserError("<html>"), RetryableError),
        (client_error("AccessDenied"), RefusedError),
    ],
)
def test_what_is_no_fault_of_a_query_is_raised_with_call_and_region(
    error: Exception, expected: type[Exception]
) -> None:
    with pytest.raises(expected, match="GetMetricData in us-east-1"):
        fetch(TableClient(refuse=lambda _: error), ["a"])


@pytest.mark.parametrize(
    ("start", "step", "key"),
    [
        (NOON, 7, "step_seconds"),
        (NOON, 0, "step_seconds"),
        (NOON, 90, "step_seconds"),
        (NOON.replace(tzinfo=None), 60, "start"),
    ],
)
def test_a_step_or_time_that_cannot_be_asked_for_is_a_config_error(start: datetime, step: int, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        CloudWatchMetrics(TableClient()).fetch(["a"], "Api", SCOPES, start, NOON, step)


def test_discover_takes_exactly_the_dimensions_asked_for() -> None:
    client = TableClient()
    group = [{"Name": "AutoScalingGroupName", "Value": "b"}]
    for name, dimensions in (("z", group), ("a", group), ("wider", [*group, {"Name": "InstanceId", "Value": "i-1"}])):
        client.metrics.append({"Namespace": "Api", "MetricName": name, "Dimensions": dimensions})
    assert CloudWatchMetrics(client).discover("Api", {"AutoScalingGroupName": "b"}) == ["a", "z"]
