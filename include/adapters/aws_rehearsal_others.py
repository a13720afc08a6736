"""EC2 and CloudWatch in a rehearsal: launch templates, subnets, and what is counted of traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from include.adapters.aws_rehearsal_balancing import RehearsedBalancing
from include.adapters.aws_rehearsal_reads import RealReads
from include.adapters.aws_rehearsal_scaling import RehearsedScaling
from include.adapters.aws_rehearsal_state import Clock, refusal
from include.adapters.aws_traffic import INSTANCE_NAMESPACE

SEEN_AFTER_SECONDS = 5
"""From an instance's first request until the metric store says so: its agent publishes as often."""


class RehearsedCompute:
    """Each public method is an operation of AWS, with its parameters and its answer."""

    def __init__(self, reads: RealReads) -> None:
        self._reads = reads
        self._templates: dict[str, list[dict[str, Any]]] = {}

    def describe_subnets(self, Filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"Subnets": self._reads.items("ec2", "describe_subnets", "Subnets", Filters=list(Filters))}

    def describe_launch_templates(
        self, LaunchTemplateNames: Sequence[str] = (), Filters: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        names = [*LaunchTemplateNames, *(name for one in Filters for name in one["Values"])]
        return {"LaunchTemplates": [template for name in names for template in self._named(name)]}

    def create_launch_template(self, **asked: Any) -> dict[str, Any]:
        name = asked["LaunchTemplateName"]
        if self._named(name):
            raise refusal("InvalidLaunchTemplateName.AlreadyExistsException", f"{name} exists", "CreateLaunchTemplate")
        tags = [tag for one in asked["TagSpecifications"] for tag in one["Tags"]]
        made = {"LaunchTemplateName": name, "LaunchTemplateId": f"(launch template of {name})", "Tags": tags}
        self._templates[name] = [made]
        return {"LaunchTemplate": made}

    def delete_launch_template(self, LaunchTemplateId: str) -> dict[str, Any]:
        for templates in self._templates.values():
            templates[:] = [one for one in templates if one["LaunchTemplateId"] != LaunchTemplateId]
        return {}

    def _named(self, name: str) -> list[dict[str, Any]]:
        if name not in self._templates:
            filters = [{"Name": "launch-template-name", "Values": [name]}]
            found = self._reads.items("ec2", "describe_launch_templates", "LaunchTemplates", Filters=filters)
            self._templates[name] = list(found)
        return self._templates[name]


class RehearsedMetrics:
    """The traffic stays as it was when the rehearsal began; whoever is healthy and has a share of it serves."""

    def __init__(
        self,
        reads: RealReads,
        clock: Clock,
        scaling: RehearsedScaling,
        balancing: RehearsedBalancing,
        ahead_seconds: float = 0.0,
    ) -> None:
        self._reads, self._clock, self._scaling, self._balancing = reads, clock, scaling, balancing
        self._ahead = timedelta(seconds=ahead_seconds)
        self._first_end: datetime | None = None
        self._is_called = True

    def get_metric_data(
        self, MetricDataQueries: Sequence[Mapping[str, Any]], StartTime: datetime, EndTime: datetime
    ) -> dict[str, Any]:
        metric = MetricDataQueries[0]["MetricStat"]["Metric"]
        if metric["Namespace"] == INSTANCE_NAMESPACE:
            return {"MetricDataResults": [self._counted(query) for query in MetricDataQueries]}
        self._first_end = self._first_end or EndTime
        since, until = StartTime - self._ahead, EndTime - self._ahead
        asked = {"MetricDataQueries": list(MetricDataQueries), "StartTime": since, "EndTime": until}
        found = self._reads.items("cloudwatch", "get_metric_data", "MetricDataResults", **asked)
        self._is_called = any(sum(one["Values"]) > 0 for one in found)
        later = EndTime - self._first_end + self._ahead
        return {"MetricDataResults": [{**one, "Timestamps": [at + later for at in one["Timestamps"]]} for one in found]}

    def _counted(self, query: Mapping[str, Any]) -> dict[str, Any]:
        names = {one["Name"]: one["Value"] for one in query["MetricStat"]["Metric"]["Dimensions"]}
        is_seen = self._is_called and self._serves(names["AutoScalingGroupName"], names["InstanceId"])
        return {"Id": query["Id"], "Timestamps": [], "Values": [1.0] if is_seen else []}

    def _serves(self, name: str, instance_id: str) -> bool:
        group, since = self._scaling.find(name), self._balancing.shared_since(name)
        if group is None or since is None:
            return False
        member = next((one for one in group.members if one.instance_id == instance_id), None)
        if member is None or not self._balancing.serves(group, member):
            return False
        return self._clock.now() >= max(since, member.ready_at) + timedelta(seconds=SEEN_AFTER_SECONDS)
