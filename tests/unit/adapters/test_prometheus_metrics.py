"""The Prometheus adapter against a transport that answers from a function: what is asked, and what answers mean."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from include.adapters import metric_store
from include.adapters.metric_store import MetricStore
from include.adapters.prometheus_metrics import PrometheusMetrics
from include.errors import ConfigError, RefusedError, RetryableError

NOON = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
END = NOON + timedelta(minutes=3)
SCOPES = {"baseline": {"cluster": "b"}, "canary": {"cluster": "c"}}
EMPTY = httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": []}})


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits themselves are tested on a clock of their own, in test_metric_store."""
    monkeypatch.setattr(metric_store, "_FIRST_WAIT_SECONDS", 0.001)


class Server:
    """Gives each group the value `k` in step k (canary + 100); `spoil` may answer in its place."""

    def __init__(
        self, spoil: Callable[[str, dict[str, str]], httpx.Response | None] = lambda path, asked: None
    ) -> None:
        self.spoil = spoil
        self.asked: list[dict[str, str]] = []
        self.requests: list[httpx.Request] = []
        self.metadata: dict[str, Any] = {}
        self.pause: threading.Barrier | None = None

    def store(self) -> PrometheusMetrics:
        return PrometheusMetrics("http://prom/prefix/", client=httpx.Client(transport=httpx.MockTransport(self)))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        asked = dict(httpx.QueryParams(request.content.decode()))
        spoiled = self.spoil(request.url.path, asked)
        if spoiled is not None:
            return spoiled
        if request.url.path == "/prefix/api/v1/metadata":
            return httpx.Response(200, json={"status": "success", "data": self.metadata})
        if self.pause is not None:
            self.pause.wait(timeout=10)
        self.asked.append(asked)
        return httpx.Response(200, json={"status": "success", "data": self._matrix(asked)})

    def _matrix(self, asked: dict[str, str]) -> dict[str, Any]:
        start, end, step = float(asked["start"]), float(asked["end"]), int(asked["step"])
        points = round((end - start) / step) + 1
        first = round((start - NOON.timestamp()) / step) - 1
        result = [
            {
                "metric": {"cluster": cluster},
                "values": [[round(start + k * step, 3), str(first + k + shift)] for k in range(points)],
            }
            for cluster, shift in (("c", 100), ("b", 0), ("stranger", 7))
        ]
        return {"resultType": "matrix", "result": result}


def fetch(server: Server, names: list[str], **more: Any) -> Any:
    with server.store() as store:
        return store.fetch(names, SCOPES, NOON, END, 60, **({"patience_seconds": 0} | more))


def fail_on(*names: str, answer: httpx.Response) -> Callable[[str, dict[str, str]], httpx.Response | None]:
    marks = [f'__name__="{name}"' for name in names]
    return lambda path, asked: answer if any(mark in asked.get("query", "") for mark in marks) else None


def test_it_is_a_metric_store() -> None:
    store: MetricStore = Server().store()
    assert store.health.calls == 0


def test_one_post_for_each_name_uncompressed_and_at_the_last_moment_of_each_step() -> None:
    server = Server()
    grid = fetch(server, ["a", "b"])
    np.testing.assert_array_equal(grid.values, [[[0, 1, 2]] * 2, [[100, 101, 102]] * 2])
    assert [request.method for request in server.requests] == ["GET", "POST", "POST"]
    assert {request.headers["Accept-Encoding"] for request in server.requests} == {"identity"}
    first = NOON.timestamp() + 60 - 0.001
    assert {(asked["start"], asked["end"], asked["step"]) for asked in server.asked} == {
        (f"{first:.3f}", f"{first + 120:.3f}", "60")
    }


def test_four_names_are_asked_for_at_once() -> None:
    server = Server()
    server.pause = threading.Barrier(4)
    fetch(server, [f"m{n}" for n in range(8)])
    assert len(server.asked) == 8


def test_metadata_says_what_counts_up_and_is_asked_for_once() -> None:
    server = Server()
    server.metadata = {"hits": [{"type": "counter"}], "disk_total": [{"type": "gauge"}], "odd": []}
    with server.store() as store:
        for _ in range(2):
            store.fetch(["hits", "disk_total", "errors_total"], SCOPES, NOON, END, 60, "Sum")
    queries = sorted(asked["query"] for asked in server.asked[:3])
    assert ["avg_over_time(" in query for query in queries] == [True, False, False]
    assert ["increase(" in query for query in queries] == [False, True, True]
    assert sum(request.url.path.endswith("metadata") for request in server.requests) == 1


@pytest.mark.parametrize("answer", [httpx.Response(404), httpx.Response(501), httpx.Response(200, text="<html>")])
def test_a_server_without_metadata_is_read_by_the_names_endings(answer: httpx.Response) -> None:
    server = Server(lambda path, asked: answer if path.endswith("metadata") else None)
    grid = fetch(server, ["a_total", "b"])
    assert grid.errors == {}
    assert sorted("increase(" in asked["query"] for asked in server.asked) == [False, True]


def test_a_long_span_is_asked_for_in_pieces_of_11000_points() -> None:
    server = Server()
    with server.store() as store:
        grid = store.fetch(["a"], SCOPES, NOON, NOON + timedelta(seconds=5 * 12_000), 5)
    np.testing.assert_array_equal(grid.values[1, 0], np.arange(12_000) + 100.0)
    sizes = [round((float(one["end"]) - float(one["start"])) / 5) + 1 for one in server.asked]
    assert sizes == [11_000, 1_000]


def test_a_statistic_is_chosen_name_by_name() -> None:
    server = Server()
    fetch(server, ["a", "b"], stat=lambda name: {"a": "Sum", "b": "Minimum"}[name])
    assert sorted(asked["query"].split(" ")[0] for asked in server.asked) == ["min", "sum"]


@pytest.mark.parametrize("status", [400, 422])
def test_a_wrong_query_fails_its_metric_alone(status: int) -> None:
    wrong = httpx.Response(status, json={"status": "error", "errorType": "execution", "error": "too many samples"})
    grid = fetch(Server(fail_on("b", answer=wrong)), ["a", "b", "c"])
    assert grid.errors == {"b": f"{status} too many samples"}
    assert np.isnan(grid.values[:, 1]).all()
    assert not np.isnan(grid.values[:, [0, 2]]).any()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(429, text="slow down"),
        httpx.Response(500, json={"error": "internal"}),
        httpx.Response(503),
        httpx.Response(200, text="<html>a gateway's page"),
        httpx.Response(200, json={"status": "error"}),
    ],
    ids=["429", "500", "503", "html", "error"],
)
def test_no_answer_for_a_few_names_is_theirs_and_for_most_it_is_the_stores(answer: httpx.Response) -> None:
    grid = fetch(Server(fail_on("b", answer=answer)), ["a", "b"])
    assert list(grid.errors) == ["b"]
    with pytest.raises(RetryableError, match=r"^Prometheus at http://prom/prefix left 2 of 3 metrics unanswered"):
        fetch(Server(fail_on("a", "b", answer=answer)), ["a", "b", "c"])


def test_a_failure_in_passing_is_no_error_but_is_counted() -> None:
    left = [httpx.Response(503), httpx.Response(429, headers={"Retry-After": "0"})]
    server = Server(lambda path, asked: left.pop() if "query" in asked and left else None)
    with server.store() as store:
        grid = store.fetch(["a"], SCOPES, NOON, END, 60, patience_seconds=60)
        assert (grid.errors, store.health.failed, store.health.throttled) == ({}, 2, 1)
    assert not np.isnan(grid.values).any()


@pytest.mark.parametrize("status", [301, 401, 403, 404, 501])
def test_a_door_that_is_shut_is_refused_and_not_tried_again(status: int) -> None:
    server = Server(lambda path, asked: httpx.Response(status, text="no") if "query" in asked else None)
    with pytest.raises(RefusedError, match=f"{status} no"):
        fetch(server, ["a"] * 1, patience_seconds=60)
    with server.store() as store, pytest.raises(RefusedError, match=str(status)):
        store.query("up", NOON, END, 60)


def test_names_are_asked_for_within_the_time_and_sorted() -> None:
    server = Server(lambda path, asked: httpx.Response(200, json={"status": "success", "data": ["z", "a"]}))
    with server.store() as store:
        assert store.discover({"cluster": "b"}, NOON, END) == ["a", "z"]
        with pytest.raises(ConfigError, match="time zone"):
            store.discover({"cluster": "b"}, NOON.replace(tzinfo=None), END)
    (request,) = server.requests
    assert request.url.path == "/prefix/api/v1/label/__name__/values"
    assert dict(request.url.params) == {
        "match[]": '{cluster="b"}',
        "start": f"{NOON.timestamp():.3f}",
        "end": f"{END.timestamp():.3f}",
    }


def test_names_that_are_none_are_no_answer() -> None:
    server = Server(lambda path, asked: httpx.Response(200, text=json.dumps({"data": {}})))
    with server.store() as store, pytest.raises(RetryableError, match="no list of names"):
        store.discover({"cluster": "b"}, NOON, END, patience_seconds=0)


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://x", "http://", "/api"])
def test_an_address_that_is_none_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        PrometheusMetrics(url)


def test_a_password_in_the_address_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        PrometheusMetrics("http://user:geheim@prom")
    assert "geheim" not in str(caught.value)


def test_nothing_asked_is_nothing_read() -> None:
    server = Server()
    assert fetch(server, []).values.shape == (2, 0, 3)
    with server.store() as store:
        assert store.fetch(["a"], SCOPES, NOON, NOON, 60).values.shape == (2, 1, 0)
        with pytest.raises(ConfigError, match="same labels"):
            store.fetch(["a"], {"b": {"cluster": "b"}, "c": {"asg": "c"}}, NOON, END, 60)
    assert server.requests == []
