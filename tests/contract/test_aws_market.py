"""How many requests a market has sent, read through the adapter: on the local cloud, and by the calls that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from include.adapters.aws_errors import AwsCalls
from include.adapters.aws_market import FINE_DAYS, AwsMarket
from include.apps.windows import TrafficMetric
from include.errors import RefusedError, RetryableError
from include.localcloud.clock import utc
from tests.support.cloud_things import Things
from tests.support.local_cloud import LocalCloud

METRIC = TrafficMetric(namespace="Redstart/Market", metric="RequestCount", dimensions={"Region": "{region}", "Of": "x"})
NOW = datetime(2026, 11, 23, 18, 7, 31, tzinfo=UTC)


def market_of(cloud: LocalCloud, metric: TrafficMetric | None = METRIC, region: str = "us-east-1") -> AwsMarket:
    return AwsMarket(AwsCalls(region, lambda service: cloud.client(service, region)), "api-main", metric)


def publish(cloud: LocalCloud, at: float, count: float, region: str = "us-east-1") -> None:
    datum = {
        "MetricName": "RequestCount",
        "Dimensions": [{"Name": "Region", "Value": region}, {"Name": "Of", "Value": "x"}],
        "Timestamp": utc(at),
        "Value": count,
        "Unit": "Count",
    }
    cloud.client("cloudwatch", region).put_metric_data(Namespace="Redstart/Market", MetricData=[datum])


def test_requests_of_a_market_are_summed_by_the_quarter_and_holes_stay_holes(local_cloud: LocalCloud) -> None:
    now = local_cloud.clock.now()
    slot = int(now) // 900 * 900
    for back, minutes, count in ((4, 0, 30), (4, 5, 12), (3, 1, 7), (1, 14, 5)):
        publish(local_cloud, slot - back * 900 + minutes * 60, count)
    publish(local_cloud, slot, 1000)  # of a quarter that is not over
    publish(local_cloud, slot - 3 * 900, 500, region="eu-west-1")
    found = market_of(local_cloud).counts(utc(now) - timedelta(days=1), utc(now), 900)
    assert found.period_seconds == 900
    assert found.starts.tolist() == [slot - 4 * 900, slot - 3 * 900, slot - 900]
    assert found.counts.tolist() == [42.0, 7.0, 5.0]
    assert found.starts.dtype == np.int64 and found.counts.dtype == np.float64


def test_the_last_quarter_of_an_hour_is_read_by_the_minute_and_from_no_earlier(local_cloud: LocalCloud) -> None:
    now = local_cloud.clock.now()
    minute = int(now) // 60 * 60
    for back in range(1, 30):
        publish(local_cloud, minute - back * 60, back)
    found = market_of(local_cloud).counts(utc(now) - timedelta(minutes=15), utc(now), 60)
    assert found.starts.min() >= now - 900 and found.starts.max() == minute - 60
    assert found.counts.tolist() == [float((minute - start) // 60) for start in found.starts]
    assert len(found.starts) >= 14


def test_a_market_without_a_metric_is_what_its_load_balancer_counts(local_cloud: LocalCloud, things: Things) -> None:
    arn = things.serving_group("g-v000")
    things.forward({arn: 100})
    local_cloud.advance(20)
    began = local_cloud.clock.now()
    local_cloud.serve(20.0)
    local_cloud.advance(300)
    now = local_cloud.clock.now()
    found = market_of(local_cloud, None).counts(utc(began), utc(now), 60)
    assert found.counts.size and float(np.median(found.counts)) == pytest.approx(20.0 * 60, rel=0.1)


def test_nothing_is_known_of_a_market_that_nobody_counts(local_cloud: LocalCloud) -> None:
    found = market_of(local_cloud).counts(
        utc(local_cloud.clock.now()) - timedelta(days=28), utc(local_cloud.clock.now()), 900
    )
    assert found.starts.size == found.counts.size == 0


class Store:
    """A CloudWatch client that has a request a second, in two pages, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[dict[str, Any]] = []

    def get_paginator(self, operation: str) -> Store:
        assert operation == "get_metric_data"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        if self.error is not None:
            raise self.error
        self.asked.append(asked)
        stat = asked["MetricDataQueries"][0]["MetricStat"]
        period = stat["Period"]
        starts = np.arange(asked["StartTime"].timestamp(), asked["EndTime"].timestamp(), period)
        for part in np.array_split(starts, 2):
            at = [datetime.fromtimestamp(one, UTC) for one in part]
            yield {"MetricDataResults": [{"Id": "requests", "Timestamps": at, "Values": [float(period)] * len(at)}]}


def market_with(store: Store, metric: TrafficMetric | None = METRIC) -> AwsMarket:
    return AwsMarket(AwsCalls("us-east-1", lambda service: store), "api-main", metric)


def test_four_weeks_are_one_call_of_all_pages() -> None:
    store = Store()
    found = market_with(store).counts(NOW - timedelta(days=28), NOW, 900)
    (asked,) = store.asked
    stat = asked["MetricDataQueries"][0]["MetricStat"]
    assert stat["Stat"] == "Sum" and stat["Period"] == 900
    assert stat["Metric"]["Dimensions"] == [{"Name": "Region", "Value": "us-east-1"}, {"Name": "Of", "Value": "x"}]
    assert len(found.starts) == 28 * 96 - 1
    assert np.all(np.diff(found.starts) == 900) and np.all(found.counts == 900.0)


def test_what_is_kept_by_the_hour_only_is_spread_over_the_hour() -> None:
    store = Store()
    found = market_with(store).counts(NOW - timedelta(days=100), NOW, 900)
    periods = [asked["MetricDataQueries"][0]["MetricStat"]["Period"] for asked in store.asked]
    assert periods == [3600, 900]
    assert all(asked["StartTime"].timestamp() % 3600 == 0 for asked in store.asked)
    assert NOW - store.asked[1]["StartTime"] <= timedelta(days=FINE_DAYS)
    assert np.all(np.diff(found.starts) == 900) and np.all(found.counts == 900.0), "no gap, nothing twice"


class Told(Store):
    """A CloudWatch client that has what it was given: minutes before `NOW`'s hour and requests."""

    def __init__(self, told: dict[int, float]) -> None:
        super().__init__()
        self.told = told

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        hour = NOW.replace(minute=0, second=0)
        at = [hour - timedelta(minutes=minutes) for minutes in self.told]
        found = [
            (one, value)
            for one, value in zip(at, self.told.values(), strict=True)
            if asked["StartTime"] <= one < asked["EndTime"]
        ]
        times, values = [one for one, _ in found], [value for _, value in found]
        yield {"MetricDataResults": [{"Id": "requests", "Timestamps": times, "Values": values}]}


ODD = {150: 10.0, 135: -3.0, 120: float("nan"), 105: float("inf"), 90: 1e300, 75: 20.0, 30: 30.0}
ELB = TrafficMetric(namespace="AWS/ApplicationELB", metric="RequestCount", dimensions={"LoadBalancer": "app/x/1"})


def test_what_cannot_be_requests_is_left_out_and_holes_of_a_custom_metric_stay_holes() -> None:
    found = market_with(Told(ODD)).counts(NOW - timedelta(hours=8), NOW, 900)
    assert found.counts.tolist() == [10.0, 20.0, 30.0]
    assert ((NOW.replace(minute=0, second=0).timestamp() - found.starts) / 60).tolist() == [150, 75, 30]


def test_a_load_balancer_without_a_datapoint_had_no_request() -> None:
    """Between the first and the last that it told; what it told that cannot be is not known, and no silence."""
    found = market_with(Told(ODD), ELB).counts(NOW - timedelta(hours=8), NOW, 900)
    assert found.counts.tolist() == [10.0, 20.0, 0.0, 0.0, 30.0]
    assert ((NOW.replace(minute=0, second=0).timestamp() - found.starts) / 60).tolist() == [150, 75, 60, 45, 30]
    assert market_with(Told({}), ELB).counts(NOW - timedelta(hours=8), NOW, 900).starts.size == 0


def failure(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetMetricData")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (failure("ThrottlingException"), RetryableError, "throttled"),
        (failure("InternalServiceError", 503), RetryableError, "InternalServiceError"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), RetryableError, "no answer"),
        (failure("AccessDenied", 403), RefusedError, "may not cloudwatch:GetMetricData"),
        (failure("ValidationError"), RefusedError, "ValidationError"),
    ],
)
def test_errors_say_what_was_asked_where(error: Exception, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=f"get_metric_data in us-east-1 for Redstart/Market RequestCount.*{words}"):
        market_with(Store(error)).counts(NOW - timedelta(days=28), NOW, 900)
