"""What the load balancer counted of one group, for a watch without a canary: AWS/ApplicationELB of its target group."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from include.adapters.aws_errors import AwsCalls
from include.adapters.aws_listener import AwsListener
from include.adapters.aws_traffic import balancer_dimension
from include.canary.limits import Served
from include.canary.statistics import Floats
from include.errors import RefusedError

NAMESPACE = "AWS/ApplicationELB"
# AWS reports counts only where there were some; of a group without any it says nothing at all.
COUNTS = ("RequestCount", "HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount")
STATS = dict.fromkeys(COUNTS, "Sum") | {
    "TargetResponseTime": "Average",
    "HealthyHostCount": "Minimum",
    "UnHealthyHostCount": "Maximum",
}


class AwsBalancer:
    """One region's load balancer named `load_balancer`; `period_seconds` is how often its metrics come."""

    def __init__(self, calls: AwsCalls, load_balancer: str, period_seconds: int = 60) -> None:
        self._calls, self.period_seconds = calls, period_seconds
        self._listener = AwsListener(calls, load_balancer)
        self._arns: dict[str, str] = {}

    def served(self, group: str, since: datetime, until: datetime) -> Served:
        """Point by point over the whole periods in [since, until), in one call (and, of a group, its address once).

        RefusedError for a group without a target group, RetryableError where AWS does not answer.
        """
        period = self.period_seconds
        start = -(-int(since.timestamp()) // period) * period
        points = max(int(until.timestamp()) // period - start // period, 0)
        values = {name: np.full(points, np.nan) for name in STATS}
        if points:
            self._read(group, start, values)
        requests, errors, refused = (np.nan_to_num(values[name]) for name in COUNTS)
        return Served(
            requests=requests,
            errors=errors + refused,
            latency_ms=values["TargetResponseTime"] * 1000.0,
            healthy=values["HealthyHostCount"],
            unhealthy=values["UnHealthyHostCount"],
        )

    def _read(self, group: str, start: int, values: dict[str, Floats]) -> None:
        period, names = self.period_seconds, list(values)
        points = len(values[names[0]])
        pages = self._calls.pages(
            "cloudwatch",
            "get_metric_data",
            "MetricDataResults",
            subject=group,
            MetricDataQueries=[self._query(number, name, group) for number, name in enumerate(names)],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(start + points * period, UTC),
        )
        for result in pages:
            row = values[names[int(result["Id"][1:])]]
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                place = (int(at.timestamp()) - start) // period
                if 0 <= place < points:
                    row[place] = value

    def _query(self, number: int, name: str, group: str) -> dict[str, Any]:
        dimensions = [
            {"Name": "LoadBalancer", "Value": balancer_dimension(self._listener.balancer_arn())},
            {"Name": "TargetGroup", "Value": self._address(group).rpartition(":")[2]},
        ]
        metric = {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions}
        return {
            "Id": f"m{number}",
            "MetricStat": {"Metric": metric, "Period": self.period_seconds, "Stat": STATS[name]},
            "ReturnData": True,
        }

    def _address(self, group: str) -> str:
        """`arn:...:targetgroup/api-main-v042/0123`: CloudWatch's name is what follows the last colon."""
        if group not in self._arns:
            found = self._listener.find_target_groups([group])
            if group not in found:
                raise RefusedError(f"get_metric_data in {self._calls.region}: there is no target group {group}")
            self._arns |= found
        return self._arns[group]
