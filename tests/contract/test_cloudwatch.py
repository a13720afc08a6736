"""What boto3 may expect of the local cloud's CloudWatch: the behaviour of AWS's that Redstart leans on."""

from __future__ import annotations

import gzip
import http.client
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError
from urllib3 import HTTPResponse

from include.adapters.cloudwatch_metrics import CloudWatchMetrics
from include.localcloud.cloudwatch.store import DEFAULT_MAX_SAMPLES
from include.localcloud.market_history import MARKETS, make_history, peaking_at
from include.services.market_seed import RECENT, seed_markets
from tests.support.cloudwatch_server import CloudWatchServer, serve_cloudwatch

NOON = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
SCOPE = "Credential=AKPROD/20260506/us-east-1/monitoring/aws4_request"
GROUP = [{"Name": "AutoScalingGroupName", "Value": "api-main-v001"}]


@pytest.fixture(scope="module")
def running() -> Iterator[CloudWatchServer]:
    with serve_cloudwatch(NOON.timestamp()) as server:
        yield server


@pytest.fixture
def server(running: CloudWatchServer) -> CloudWatchServer:
    running.cloud.reset()
    running.clock.at = NOON.timestamp()
    return running


@pytest.fixture
def client(server: CloudWatchServer) -> Any:
    return server.client()


def before_noon(**ago: float) -> datetime:
    return NOON - timedelta(**ago)


def datum(name: str = "latency", at: datetime = NOON, **more: Any) -> dict[str, Any]:
    return {"MetricName": name, "Dimensions": GROUP, "Timestamp": at, "StorageResolution": 1, **more}


def query(name: str = "latency", stat: str = "Average", period: int = 5, **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "Api", "MetricName": name, "Dimensions": GROUP}
    return {"Id": "q0", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, **more}


def read(client: Any, *queries: dict[str, Any], start: datetime, end: datetime = NOON, **more: Any) -> dict[str, Any]:
    return client.get_metric_data(MetricDataQueries=list(queries), StartTime=start, EndTime=end, **more)


def values(client: Any, one: dict[str, Any], start: datetime, end: datetime = NOON) -> dict[datetime, float]:
    (result,) = read(client, one, start=start, end=end)["MetricDataResults"]
    return dict(zip(result["Timestamps"], result["Values"], strict=True))


def error_of(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


class TestStatistics:
    def test_samples_of_several_instances_in_one_period_aggregate(self, client: Any) -> None:
        at = before_noon(seconds=60)
        for number, value in enumerate((10.0, 20.0, 60.0)):
            client.put_metric_data(Namespace="Api", MetricData=[datum(at=at + timedelta(seconds=number), Value=value)])
        for stat, expected in {
            "Average": 30.0, "Sum": 90.0, "Minimum": 10.0, "Maximum": 60.0, "SampleCount": 3.0, "p50": 20.0,
        }.items():  # fmt: skip
            assert values(client, query(stat=stat), before_noon(seconds=60)) == {at: expected}, stat

    def test_percentiles_and_trimmed_means_are_over_all_samples(self, client: Any) -> None:
        at = before_noon(seconds=5)
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=at, Value=float(n)) for n in range(10)])
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=at, Values=[100.0], Counts=[90])])
        everything = [float(n) for n in range(10)] + [100.0] * 90
        for percent in (1, 5, 9.5, 50, 99):
            found = values(client, query(stat=f"p{percent:g}"), at)[at]
            assert found == pytest.approx(np.percentile(everything, percent)), percent
        assert values(client, query(stat="tm10"), at)[at] == pytest.approx(4.5)
        assert values(client, query(stat="tm100"), at)[at] == pytest.approx(np.mean(everything))

    def test_counts_weigh_their_values(self, client: Any) -> None:
        at = before_noon(seconds=5)
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=at, Values=[1.0, 5.0], Counts=[3, 1])])
        assert values(client, query(stat="Average"), at) == {at: 2.0}
        assert values(client, query(stat="SampleCount"), at) == {at: 4.0}

    def test_a_statistic_set_gives_sums_and_bounds_but_hides_percentiles(self, client: Any) -> None:
        at = before_noon(seconds=5)
        known = {"SampleCount": 4, "Sum": 20, "Minimum": 2, "Maximum": 9}
        client.put_metric_data(
            Namespace="Api", MetricData=[datum(at=at, StatisticValues=known), datum(at=at, Value=30.0)]
        )
        assert values(client, query(stat="Average"), at) == {at: 10.0}
        assert values(client, query(stat="Minimum"), at) == {at: 2.0}
        assert values(client, query(stat="Maximum"), at) == {at: 30.0}
        assert values(client, query(stat="p50"), at) == {}

    def test_get_metric_statistics_agrees_and_knows_the_unit(self, client: Any) -> None:
        at = before_noon(minutes=2)
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=at, Values=[1.0, 3.0], Unit="Milliseconds")])
        asked = {"Namespace": "Api", "MetricName": "latency", "Dimensions": GROUP, "Period": 60}
        span = {"StartTime": before_noon(minutes=5), "EndTime": NOON}
        (point,) = client.get_metric_statistics(**asked, **span, Statistics=["Average", "Sum"])["Datapoints"]
        assert point == {"Timestamp": at, "Average": 2.0, "Sum": 4.0, "Unit": "Milliseconds"}
        (point,) = client.get_metric_statistics(**asked, **span, ExtendedStatistics=["p50"])["Datapoints"]
        assert point["ExtendedStatistics"] == {"p50": 2.0}

    def test_a_unit_that_was_not_published_finds_nothing(self, client: Any) -> None:
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=before_noon(seconds=5), Value=1.0, Unit="Count")])
        asked = query()
        for unit, found in (("Count", 1), ("Seconds", 0)):
            asked["MetricStat"]["Unit"] = unit
            assert len(values(client, asked, before_noon(seconds=5))) == found


class TestIdentity:
    def test_namespaces_are_apart(self, client: Any) -> None:
        at = before_noon(seconds=5)
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=at, Value=7.0)])
        client.put_metric_data(Namespace="Other", MetricData=[datum(at=at, Value=107.0)])
        assert values(client, query(), at) == {at: 7.0}

    def test_the_order_of_dimensions_does_not_matter_but_the_set_does(self, client: Any) -> None:
        at = before_noon(seconds=5)
        pair = [{"Name": "B", "Value": "2"}, {"Name": "A", "Value": "1"}]
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=at, Value=1.0) | {"Dimensions": pair}])
        for dimensions, found in ((pair[::-1], 1), (pair, 1), (pair[:1], 0), ([], 0)):
            asked = query()
            asked["MetricStat"]["Metric"]["Dimensions"] = dimensions
            assert len(values(client, asked, at)) == found, dimensions

    def test_regions_and_accounts_are_apart(self, server: CloudWatchServer) -> None:
        at = before_noon(seconds=5)
        server.client("eu-west-1", access_key="AKTEST").put_metric_data(
            Namespace="Api", MetricData=[datum(at=at, Value=1.0)]
        )
        assert len(values(server.client("eu-west-1", access_key="AKTEST"), query(), at)) == 1
        assert values(server.client("eu-west-1"), query(), at) == {}
        assert values(server.client("us-east-1", access_key="AKTEST"), query(), at) == {}
        assert server.client("eu-west-1").list_metrics()["Metrics"] == []

    def test_list_metrics_filters_and_pages(self, server: CloudWatchServer, client: Any) -> None:
        for first in (0, 600):
            data = [datum(f"m{n:04}", at=NOON, Value=1.0) for n in range(first, first + 600)]
            client.put_metric_data(Namespace="Api", MetricData=data)
        client.put_metric_data(Namespace="Other", MetricData=[{"MetricName": "lonely", "Value": 1.0}])
        assert len(client.list_metrics(Namespace="Api")["Metrics"]) == 500
        names = [
            metric["MetricName"]
            for page in client.get_paginator("list_metrics").paginate(Namespace="Api", Dimensions=GROUP)
            for metric in page["Metrics"]
        ]
        assert names == [f"m{n:04}" for n in range(1200)]
        (only,) = client.list_metrics(MetricName="m0007")["Metrics"]
        assert only == {"Namespace": "Api", "MetricName": "m0007", "Dimensions": GROUP}
        assert client.list_metrics(Dimensions=[{"Name": "InstanceId"}])["Metrics"] == []
        server.clock.at += 4 * 3600
        assert client.list_metrics(Namespace="Other", RecentlyActive="PT3H")["Metrics"] == []
        assert len(client.list_metrics(Namespace="Other")["Metrics"]) == 1


class TestTime:
    def test_newest_comes_first_unless_asked_otherwise(self, client: Any) -> None:
        data = [datum(at=before_noon(seconds=5 * n), Value=float(n)) for n in (1, 2, 3)]
        client.put_metric_data(Namespace="Api", MetricData=data)
        (newest_first,) = read(client, query(), start=before_noon(minutes=1))["MetricDataResults"]
        assert newest_first["Values"] == [1.0, 2.0, 3.0]
        (oldest_first,) = read(client, query(), start=before_noon(minutes=1), ScanBy="TimestampAscending")[
            "MetricDataResults"
        ]
        assert oldest_first["Values"] == [3.0, 2.0, 1.0]
        assert oldest_first["Timestamps"][0] == before_noon(seconds=15)

    @pytest.mark.parametrize(
        ("period", "start_seconds_ago", "first_seconds_ago"),
        [(5, 58, 60), (10, 58, 60), (60, 100, 120), (300, 400, 420), (1200, 3599, 3600)],
    )
    def test_start_is_rounded_down_and_periods_count_from_it(
        self, client: Any, period: int, start_seconds_ago: int, first_seconds_ago: int
    ) -> None:
        first = before_noon(seconds=first_seconds_ago)
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=first, Value=1.0)])
        found = values(client, query(period=period), before_noon(seconds=start_seconds_ago))
        assert found == {first: 1.0}

    def test_end_is_exclusive(self, client: Any) -> None:
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=NOON, Value=1.0)])
        assert values(client, query(period=60), before_noon(minutes=1)) == {}
        assert values(client, query(period=60), before_noon(minutes=1), NOON + timedelta(seconds=1)) == {NOON: 1.0}

    def test_without_high_resolution_data_lie_on_the_minute(self, client: Any) -> None:
        at = before_noon(seconds=55)
        client.put_metric_data(Namespace="Api", MetricData=[datum(at=at, Value=1.0) | {"StorageResolution": 60}])
        assert values(client, query(period=5), before_noon(minutes=2)) == {before_noon(minutes=1): 1.0}

    def test_high_resolution_lasts_three_hours_then_minutes_remain(self, server: CloudWatchServer, client: Any) -> None:
        start = before_noon(minutes=20)
        expected: dict[datetime, list[float]] = {}
        for step in range(240):
            at = start + timedelta(seconds=5 * step)
            numbers = [float((step * 7 + n * 13) % 101) for n in range(3)]
            client.put_metric_data(Namespace="Api", MetricData=[datum(at=at, Values=numbers)])
            expected.setdefault(at.replace(second=0), []).extend(numbers)
        assert len(values(client, query(period=5), start)) == 240
        server.clock.at += 4 * 3600
        server.cloud.store.sweep(server.clock.at)
        assert values(client, query(period=5), start) == {}
        for stat, calculate in {
            "Average": np.mean,
            "Sum": np.sum,
            "Minimum": min,
            "Maximum": max,
            "SampleCount": len,
        }.items():
            found = values(client, query(period=60, stat=stat), start)
            assert found == pytest.approx({at: calculate(numbers) for at, numbers in expected.items()}), stat
        medians = values(client, query(period=60, stat="p50"), start)
        for at, numbers in expected.items():
            assert medians[at] == pytest.approx(np.median(numbers), abs=12)

    def test_memory_is_bounded_by_dropping_the_oldest(self, server: CloudWatchServer) -> None:
        store = server.cloud.store
        store.max_samples = 5000
        try:
            for step in range(8000):
                server.cloud.put(
                    "123456789012", "us-east-1", "Api", "latency", {"A": "1"}, NOON.timestamp() + step, [step]
                )
            store.sweep(NOON.timestamp() + 8000)
            assert 3500 <= store.count_samples() <= 5000
            key = ("latency", (("A", "1"),))
            reading = store.partition("123456789012", "us-east-1", "Api").read(key, 0, 1 << 32)
            assert reading is not None
            assert reading.samples.times.max() == NOON.timestamp() + 7999
        finally:
            store.max_samples = DEFAULT_MAX_SAMPLES


class TestPaging:
    def test_a_page_holds_100800_points_and_no_point_is_lost_or_repeated(
        self, server: CloudWatchServer, client: Any
    ) -> None:
        for name in range(300):
            for point in range(390):
                server.cloud.put(
                    "123456789012", "us-east-1", "Api", f"m{name}", {"AutoScalingGroupName": "api-main-v001"},
                    NOON.timestamp() - 2000 + point * 5, [name * 1000.0 + point],
                )  # fmt: skip
        queries = [query(f"m{name}") | {"Id": f"q{name}"} for name in range(300)]
        first = read(client, *queries, start=before_noon(seconds=2000))
        assert sum(len(result["Values"]) for result in first["MetricDataResults"]) == 100_800
        assert [result["StatusCode"] for result in first["MetricDataResults"][-2:]] == ["Complete", "PartialData"]
        # Data that arrive between two pages do not shift the second.
        server.cloud.put(
            "123456789012", "us-east-1", "Api", "m258", {"AutoScalingGroupName": "api-main-v001"},
            NOON.timestamp() - 1, [-1.0],
        )  # fmt: skip
        second = read(client, *queries, start=before_noon(seconds=2000), NextToken=first["NextToken"])
        assert "NextToken" not in second
        found: dict[str, list[float]] = {}
        for page in (first, second):
            for result in page["MetricDataResults"]:
                found.setdefault(result["Id"], []).extend(result["Values"])
        assert found == {f"q{n}": [n * 1000.0 + point for point in range(389, -1, -1)] for n in range(300)}

    @pytest.mark.parametrize("order", ["TimestampAscending", "TimestampDescending"])
    def test_a_query_cut_by_max_datapoints_is_partial_and_goes_on(self, client: Any, order: str) -> None:
        data = [datum(at=before_noon(seconds=5 * n), Value=float(n)) for n in range(1, 8)]
        client.put_metric_data(Namespace="Api", MetricData=data)
        more: dict[str, Any] = {"ScanBy": order, "MaxDatapoints": 3}
        pages: list[tuple[str, list[float]]] = []
        for _ in range(3):
            page = read(client, query(), start=before_noon(minutes=1), **more)
            (result,) = page["MetricDataResults"]
            pages.append((result["StatusCode"], result["Values"]))
            more["NextToken"] = page.get("NextToken")
        assert [status for status, _ in pages] == ["PartialData", "PartialData", "Complete"]
        seen = [value for _, found in pages for value in found]
        assert seen == sorted([1.0, 2, 3, 4, 5, 6, 7], reverse=order == "TimestampAscending")
        assert more["NextToken"] is None

    def test_a_token_of_another_request_is_refused(self, client: Any) -> None:
        data = [datum(at=before_noon(seconds=5 * n), Value=1.0) for n in range(1, 4)]
        client.put_metric_data(Namespace="Api", MetricData=data)
        token = read(client, query(), start=before_noon(minutes=1), MaxDatapoints=1)["NextToken"]
        asked = {"MetricDataQueries": [query(stat="Sum")], "StartTime": before_noon(minutes=1), "EndTime": NOON}
        code, _ = error_of(client.get_metric_data, **asked, NextToken=token)
        assert code == "InvalidParameterValue"
        code, _ = error_of(client.get_metric_data, **asked, NextToken="nonsense")
        assert code == "InvalidParameterValue"


class TestRefusals:
    @pytest.mark.parametrize(
        ("wrong", "code", "words"),
        [
            ({"Value": math.nan}, "InvalidParameterValue", "MetricData.member.2.Value"),
            ({"Value": 2.0**361}, "InvalidParameterValue", "MetricData.member.2.Value"),
            ({}, "MissingParameter", "MetricData.member.2.Value"),
            ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination", "mutually exclusive"),
            ({"Values": [1.0, 2.0], "Counts": [1]}, "InvalidParameterValue", "must be of the same size"),
            ({"Values": [1.0] * 151}, "InvalidParameterValue", "MetricData.member.2.Values"),
            ({"Value": 1.0, "Timestamp": NOON + timedelta(hours=3)}, "InvalidParameterValue", "Timestamp"),
            ({"Value": 1.0, "Timestamp": NOON - timedelta(days=70)}, "InvalidParameterValue", "Timestamp"),
            ({"Value": 1.0, "StorageResolution": 5}, "InvalidParameterValue", "StorageResolution"),
            ({"Value": 1.0, "Unit": "Parsecs"}, "InvalidParameterValue", "Unit"),
            ({"Value": 1.0, "Dimensions": [{"Name": "A", "Value": ""}]}, "InvalidParameterValue", "Dimensions"),
        ],
    )
    def test_one_wrong_datum_refuses_the_whole_request(
        self, server: CloudWatchServer, wrong: dict[str, Any], code: str, words: str
    ) -> None:
        right = datum("right", at=before_noon(seconds=5), Value=1.0)
        with pytest.raises(ClientError) as caught:
            server.client(checks=False).put_metric_data(Namespace="Api", MetricData=[right, datum("wrong") | wrong])
        error = caught.value.response["Error"]
        assert error["Code"] == code
        assert words in error["Message"]
        assert server.client().list_metrics()["Metrics"] == []

    def test_modeled_errors_can_be_caught_by_class(self, client: Any) -> None:
        with pytest.raises(client.exceptions.InvalidParameterValueException):
            client.put_metric_data(Namespace="AWS/EC2", MetricData=[datum(Value=1.0)])
        with pytest.raises(client.exceptions.InvalidParameterValueException):
            client.put_metric_data(Namespace="Api", MetricData=[datum(f"m{n}", Value=1.0) for n in range(1001)])

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"MetricDataQueries": [query() | {"Id": f"q{n}"} for n in range(501)]}, "500"),
            ({"MetricDataQueries": [query(period=7)]}, "Period"),
            ({"MetricDataQueries": [query(period=90)]}, "Period"),
            ({"MetricDataQueries": [query(stat="p101")]}, "Stat"),
            ({"MetricDataQueries": [query(stat="Mean")]}, "Stat"),
            ({"MetricDataQueries": [query() | {"Id": "Upper"}]}, "Id"),
            ({"MetricDataQueries": [query(), query()]}, "unique"),
            ({"MetricDataQueries": [{"Id": "e1", "Expression": "m1/10"}]}, "metric math"),
            ({"StartTime": NOON}, "StartTime"),
            ({"MaxDatapoints": 100_801}, "MaxDatapoints"),
        ],
    )
    def test_get_metric_data_says_what_is_wrong(self, client: Any, changed: dict[str, Any], words: str) -> None:
        asked = {"MetricDataQueries": [query()], "StartTime": before_noon(minutes=1), "EndTime": NOON}
        code, message = error_of(client.get_metric_data, **asked | changed)
        assert code == "ValidationError"
        assert words in message

    def test_get_metric_statistics_gives_at_most_1440_points(self, client: Any) -> None:
        asked = {"Namespace": "Api", "MetricName": "m", "Statistics": ["Sum"], "EndTime": NOON}
        code, message = error_of(client.get_metric_statistics, **asked, Period=5, StartTime=before_noon(hours=3))
        assert (code, "2,160 datapoints" in message) == ("InvalidParameterCombination", True)
        code, _ = error_of(
            client.get_metric_statistics, **asked, Period=60, StartTime=before_noon(hours=1), ExtendedStatistics=["p9"]
        )
        assert code == "InvalidParameterCombination"

    def test_an_operation_that_is_not_there_is_an_error_that_boto3_can_read(self, client: Any) -> None:
        code, message = error_of(client.list_dashboards)
        assert (code, "ListDashboards" in message) == ("UnknownOperationException", True)


class TestPlainHttp:
    """The sample application's agent: the standard library's HTTP client, a credential scope, no real signature."""

    def send(self, server: CloudWatchServer, body: bytes, **headers: str) -> tuple[int, dict[str, Any], str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        given = {
            "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": f"AWS4-HMAC-SHA256 {SCOPE}, SignedHeaders=host, Signature=0",
        }
        connection.request("POST", "/", body, given | headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text), answer.getheader("x-amzn-query-error")

    @pytest.mark.parametrize("is_compressed", [False, True])
    def test_an_agent_publishes_with_or_without_gzip(self, server: CloudWatchServer, is_compressed: bool) -> None:
        data = [datum(f"m{n}", Value=1.0) | {"Timestamp": NOON.timestamp() - 5} for n in range(1000)]
        body = json.dumps({"Namespace": "Api", "MetricData": data}).encode()
        if is_compressed:
            assert self.send(server, gzip.compress(body), **{"Content-Encoding": "gzip"}) == (200, {}, None)
        else:
            assert self.send(server, body) == (200, {}, None)
        assert values(server.client(), query("m999"), before_noon(seconds=5)) == {before_noon(seconds=5): 1.0}

    @pytest.mark.parametrize(
        ("body", "headers", "status", "code"),
        [
            (b"{", {}, 400, "SerializationException"),
            (b'{"Namespace": "Api", "MetricData": [1]}', {}, 400, "SerializationException"),
            (b"no gzip", {"Content-Encoding": "gzip"}, 400, "SerializationException"),
            (gzip.compress(b" " * (17 << 20)), {"Content-Encoding": "gzip"}, 413, "RequestEntityTooLarge"),
            (b" " * ((1 << 20) + 1), {}, 413, "RequestEntityTooLarge"),
            (b"{}", {"Authorization": ""}, 403, "MissingAuthenticationToken"),
            (b"{}", {"X-Amz-Target": "Action=PutMetricData"}, 400, "ValidationError"),
            (b'{"MetricData": []}', {}, 400, "MissingParameter"),
        ],
    )
    def test_a_request_that_cannot_be_read_is_answered_in_json(
        self, server: CloudWatchServer, body: bytes, headers: dict[str, str], status: int, code: str
    ) -> None:
        answered, error, query_error = self.send(server, body, **headers)
        assert (answered, query_error) == (status, f"{code};Sender")
        assert error["message"]


def test_alarms_are_kept_but_say_that_they_are_not_evaluated(client: Any) -> None:
    alarm = {"MetricName": "m", "Namespace": "Api", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    client.put_metric_alarm(
        AlarmName="a1", **alarm, Threshold=1.0, ComparisonOperator="GreaterThanThreshold", AlarmActions=["arn:x"]
    )
    (kept,) = client.describe_alarms(AlarmNamePrefix="a")["MetricAlarms"]
    assert (kept["StateValue"], kept["Threshold"]) == ("INSUFFICIENT_DATA", 1.0)
    assert "does not evaluate" in kept["StateReason"]
    client.delete_alarms(AlarmNames=["a1"])
    assert client.describe_alarms()["MetricAlarms"] == []


def test_many_publishers_at_once_lose_nothing(server: CloudWatchServer) -> None:
    def publish(_: int) -> None:
        client = server.client()
        for _round in range(5):
            data = [datum(f"m{n}", at=before_noon(seconds=5), Value=1.0) for n in range(200)]
            client.put_metric_data(Namespace="Api", MetricData=data)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(8)))
    for name in ("m0", "m199"):
        found = values(server.client(), query(name, stat="Sum"), before_noon(seconds=5))
        assert found == {before_noon(seconds=5): 40.0}


class TestReaders:
    """The product's own readers against this CloudWatch."""

    def test_the_adapter_reads_a_canary_and_its_baseline_on_one_grid(self, server: CloudWatchServer) -> None:
        names = [f"endpoint.e{n}.latency_p99_ms" for n in range(600)]
        for shift, group in enumerate(("api-main-baseline-v002", "api-main-canary-v002")):
            for point in range(12):
                for number, name in enumerate(names):
                    server.cloud.put(
                        "123456789012", "us-east-1", "Api", name, {"AutoScalingGroupName": group},
                        NOON.timestamp() - 60 + point * 5, [number + point + shift * 0.5],
                    )  # fmt: skip
        store = CloudWatchMetrics(server.client())
        scopes = {
            group: {"AutoScalingGroupName": group} for group in ("api-main-baseline-v002", "api-main-canary-v002")
        }
        assert store.discover("Api", scopes["api-main-canary-v002"]) == sorted(names)
        grid = store.fetch([*names, "unknown"], "Api", scopes, before_noon(seconds=63), NOON, 5)
        assert (grid.start, grid.step_seconds, grid.errors) == (before_noon(seconds=60), 5, {})
        expected = np.arange(600)[:, None] + np.arange(12)[None, :]
        np.testing.assert_array_equal(grid.values[0, :600], expected)
        np.testing.assert_array_equal(grid.values[1, :600], expected + 0.5)
        assert np.isnan(grid.values[:, 600]).all()

    def test_throttling_beyond_what_boto3_bears_loses_nothing(self, server: CloudWatchServer) -> None:
        group = "api-main-canary-v002"
        for point in range(12):
            server.cloud.put(
                "123456789012", "us-east-1", "Api", "latency", {"AutoScalingGroupName": group},
                NOON.timestamp() - 60 + point * 5, [float(point)],
            )  # fmt: skip
        client, left = server.client(), 4

        def throttle(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
            """What AWS answers to the first calls; the client itself tries a call three times."""
            nonlocal left
            left -= 1
            body = b'{"__type": "com.amazonaws.cloudwatch#ThrottlingException", "message": "Rate exceeded"}'
            raw = HTTPResponse(BytesIO(body), {"retry-after": "1"}, 400, preload_content=False)
            return AWSResponse(request.url, 400, raw.headers, raw) if left >= 0 else None

        client.meta.events.register("before-send.cloudwatch.GetMetricData", throttle)
        store = CloudWatchMetrics(client)
        scopes = {group: {"AutoScalingGroupName": group}}
        grid = store.fetch(["latency"], "Api", scopes, before_noon(seconds=60), NOON, 5, patience_seconds=60)
        np.testing.assert_array_equal(grid.values[0, 0], np.arange(12.0))
        assert (grid.errors, store.health.failed, store.health.throttled) == ({}, 1, 1)

    def test_market_history_is_seeded_once_and_can_be_read_back(self, server: CloudWatchServer) -> None:
        written = {"us-east-1": 2688, "us-west-2": 2688, "eu-west-1": 2688}
        assert seed_markets(server.client, NOON) == written
        assert seed_markets(server.client, NOON) == dict.fromkeys(written, 0)
        assert seed_markets(server.client, NOON + timedelta(hours=2)) == dict.fromkeys(written, 8)
        scopes = {"eu-west-1": {"Region": "eu-west-1"}}
        store, end = CloudWatchMetrics(server.client("eu-west-1")), NOON - RECENT
        grid = store.fetch(["RequestCount"], "Redstart/Market", scopes, end - timedelta(days=28), end, 900, "Sum")
        market = peaking_at(MARKETS["eu-west-1"], NOON + timedelta(hours=17))
        np.testing.assert_array_equal(grid.values[0, 0], make_history(market, end).counts)

    def test_a_seeded_quarter_is_not_taken_for_the_traffic_of_a_minute(self, server: CloudWatchServer) -> None:
        assert seed_markets(server.client, NOON, regions=["us-west-2"]) == {"us-west-2": 2688}
        scopes = {"us-west-2": {"Region": "us-west-2"}}
        store = CloudWatchMetrics(server.client("us-west-2"))
        for seconds in (0, 400, 899):
            now = NOON + timedelta(seconds=seconds)
            grid = store.fetch(["RequestCount"], "Redstart/Market", scopes, now - 2 * RECENT, now, 60, "Sum")
            assert np.isnan(grid.values[0, 0, -16:]).all()
