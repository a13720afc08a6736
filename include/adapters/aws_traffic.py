"""What a region's load balancer and instances have served, as CloudWatch counted it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from include.adapters.aws_errors import AwsCalls
from include.fleet.values import TrafficHistory

INSTANCE_NAMESPACE = "Redstart/Instance"
INSTANCE_PERIOD_SECONDS = 5
QUERIES_PER_CALL = 500


class AwsTraffic:
    """Requests of one region. `period_seconds` is how often the load balancer's metrics come: on AWS every minute."""

    def __init__(self, calls: AwsCalls, period_seconds: int) -> None:
        self._calls = calls
        self._period_seconds = period_seconds

    def history(self, balancer_arn: str, now: datetime, seconds: float) -> TrafficHistory:
        """Requests per second of the load balancer, of the periods that are over.

        AWS counts a period without requests as none at all: between two that have some it is a 0. After the last of
        them it may as well be late, and is left out.
        """
        period = self._period_seconds
        end = int(now.timestamp()) // period * period
        start = int(now.timestamp() - seconds) // period * period
        balancer = [{"Name": "LoadBalancer", "Value": balancer_dimension(balancer_arn)}]
        query = _sum_query("requests", "AWS/ApplicationELB", balancer, period)
        counts: dict[int, float] = {}
        for result in self._read([query], _moment(start), _moment(end), balancer_arn):
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                counts[int(at.timestamp())] = float(value)
        counts = {at: count for at, count in counts.items() if at + period <= end}
        if not counts:
            return TrafficHistory(period)
        known = range(min(counts), max(counts) + period, period)
        return TrafficHistory(period, tuple((_moment(at + period), counts.get(at, 0.0) / period) for at in known))

    def count(self, group: str, members: Sequence[str], now: datetime, seconds: float) -> dict[str, float]:
        """Requests per instance id, 500 instances a call; one without data is absent."""
        totals: dict[str, float] = {}
        end = now + timedelta(seconds=INSTANCE_PERIOD_SECONDS)  # the period that has only begun counts too
        for first in range(0, len(members), QUERIES_PER_CALL):
            some = members[first : first + QUERIES_PER_CALL]
            queries = [_instance_query(f"m{number}", group, member) for number, member in enumerate(some)]
            for result in self._read(queries, now - timedelta(seconds=seconds), end, group):
                member = some[int(result["Id"][1:])]
                if result["Values"]:
                    totals[member] = totals.get(member, 0.0) + float(sum(result["Values"]))
        return totals

    def _read(
        self, queries: list[dict[str, Any]], start: datetime, end: datetime, subject: str
    ) -> list[dict[str, Any]]:
        pages = self._calls.pages(
            "cloudwatch",
            "get_metric_data",
            "MetricDataResults",
            subject=subject,
            MetricDataQueries=queries,
            StartTime=start,
            EndTime=end,
        )
        return list(pages)


def balancer_dimension(balancer_arn: str) -> str:
    """`arn:...:loadbalancer/app/api-main/0123` -> `app/api-main/0123`, as CloudWatch and policies name it."""
    return balancer_arn.partition(":loadbalancer/")[2]


def _instance_query(query_id: str, group: str, instance_id: str) -> dict[str, Any]:
    dimensions = [{"Name": "AutoScalingGroupName", "Value": group}, {"Name": "InstanceId", "Value": instance_id}]
    return _sum_query(query_id, INSTANCE_NAMESPACE, dimensions, INSTANCE_PERIOD_SECONDS)


def _sum_query(query_id: str, namespace: str, dimensions: list[dict[str, str]], period: int) -> dict[str, Any]:
    metric: Mapping[str, Any] = {"Namespace": namespace, "MetricName": "RequestCount", "Dimensions": dimensions}
    return {"Id": query_id, "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}, "ReturnData": True}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
