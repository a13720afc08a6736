"""How many requests a market has sent, as CloudWatch counted them: weeks of quarters of an hour, or of late."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from include.adapters.aws_errors import AwsCalls
from include.adapters.aws_listener import AwsListener
from include.adapters.aws_traffic import balancer_dimension
from include.apps.windows import TrafficMetric
from include.peaks import Counts, can_be_counts

NAMESPACE = "AWS/ApplicationELB"
METRIC = "RequestCount"
REGION = "{region}"
HOUR_SECONDS = 3600
FINE_DAYS = 62
"""CloudWatch keeps what is finer than an hour for 63 days, and less than 5 minutes for 15."""
POINTS_PER_CALL = 100_000
Periods = dict[int, float]  # start of a period (seconds since the epoch): requests


class AwsMarket:
    """Requests of one region: those of `metric`, or, where none is set, those of its load balancer."""

    def __init__(self, calls: AwsCalls, load_balancer: str, metric: TrafficMetric | None = None) -> None:
        self._calls, self._metric, self.load_balancer = calls, metric, load_balancer
        self._dimensions: list[dict[str, str]] | None = None

    def counts(self, since: datetime, until: datetime, period_seconds: int) -> Counts:
        """Requests of each whole period in [since, until) of which the store has something, the oldest first.

        What is older than `FINE_DAYS` is there by the hour only: its requests are spread evenly over the hour's
        periods. What cannot be a number of requests (negative, not finite) is left out. RefusedError where AWS will
        not say, RetryableError where it does not answer.
        """
        end = int(until.timestamp()) // period_seconds * period_seconds
        start = -(-int(since.timestamp()) // period_seconds) * period_seconds
        fine_from = -(-int(until.timestamp() - FINE_DAYS * 86400) // HOUR_SECONDS) * HOUR_SECONDS
        found: Periods = {}
        if start < fine_from:
            found |= self._spread(start // HOUR_SECONDS * HOUR_SECONDS, fine_from, period_seconds)
        found |= dict(self._read(max(start, min(fine_from, end)), end, period_seconds))
        if self._of() == (NAMESPACE, METRIC):
            found = _with_silence(found, period_seconds)
        known = sorted(at for at in found if start <= at and at + period_seconds <= end)
        starts = np.array(known, dtype=np.int64)
        values = np.array([found[at] for at in known], dtype=np.float64)
        usable = can_be_counts(values)
        return Counts(starts[usable], values[usable], period_seconds)

    def _spread(self, start: int, end: int, period: int) -> Periods:
        parts = max(HOUR_SECONDS // period, 1)
        hours = self._read(start, end, HOUR_SECONDS)
        return {at + part * period: count / parts for at, count in hours for part in range(parts)}

    def _read(self, start: int, end: int, period: int) -> Iterator[tuple[int, float]]:
        """(start of a period, requests); a range that is longer than one call may return is asked for in parts."""
        step = POINTS_PER_CALL * period
        for first in range(start, end, step):
            for result in self._ask(first, min(first + step, end), period):
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    yield int(at.timestamp()), float(value)

    def _ask(self, start: int, end: int, period: int) -> Iterator[Mapping[str, Any]]:
        namespace, name = self._of()
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": self._of_region()}
        stat = {"Metric": metric, "Period": period, "Stat": "Sum"}
        return self._calls.pages(
            "cloudwatch",
            "get_metric_data",
            "MetricDataResults",
            subject=f"{namespace} {name}",
            MetricDataQueries=[{"Id": "requests", "MetricStat": stat, "ReturnData": True}],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
            ScanBy="TimestampAscending",
        )

    def _of(self) -> tuple[str, str]:
        return (self._metric.namespace, self._metric.metric) if self._metric else (NAMESPACE, METRIC)

    def _of_region(self) -> list[dict[str, str]]:
        if self._dimensions is None:
            self._dimensions = [{"Name": name, "Value": value} for name, value in self._named().items()]
        return self._dimensions

    def _named(self) -> dict[str, str]:
        if self._metric is None:
            arn = AwsListener(self._calls, self.load_balancer).balancer_arn()
            return {"LoadBalancer": balancer_dimension(arn)}
        region = self._calls.region
        return {name: value.replace(REGION, region) for name, value in self._metric.dimensions.items()}


def _with_silence(found: Periods, period: int) -> Periods:
    """With 0 for each period between the first and the last one that has no datapoint.

    "If there are no requests flowing through the load balancer or no data for a metric, the metric is not reported"
    (docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html): of a load
    balancer silence is no hole, or a market that sleeps would never be seen asleep.
    """
    return dict.fromkeys(range(min(found), max(found) + 1, period), 0.0) | found if found else found
