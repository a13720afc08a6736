"""Auto Scaling in a rehearsal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.adapters.aws_rehearsal_reads import RealReads
from include.adapters.aws_rehearsal_state import Clock, ScalingGroup, refusal

SERVICE = "autoscaling"


class RehearsedScaling:
    """Each public method is an operation of AWS, with its parameters and its answer."""

    def __init__(self, reads: RealReads, clock: Clock, start_seconds: float) -> None:
        self._reads, self._clock, self._start_seconds = reads, clock, start_seconds
        self._groups: dict[str, ScalingGroup] = {}
        self._absent: set[str] = set()
        self._listed: set[str] = set()

    def describe_auto_scaling_groups(
        self, AutoScalingGroupNames: Sequence[str] = (), Filters: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        self._load(AutoScalingGroupNames, Filters)
        self._settle()
        named = [one for one in self._groups.values() if not AutoScalingGroupNames or one.name in AutoScalingGroupNames]
        fitting = [one for one in named if _fits(one.tags, Filters)]
        return {"AutoScalingGroups": [one.shown(self._clock.now()) for one in fitting]}

    def create_auto_scaling_group(self, **asked: Any) -> dict[str, Any]:
        name = asked["AutoScalingGroupName"]
        self._load([name], ())
        if name in self._groups:
            raise refusal("AlreadyExists", f"{name} already exists", "CreateAutoScalingGroup")
        known = ("MinSize", "DesiredCapacity", "MaxSize", "TargetGroupARNs")
        tags = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in asked["Tags"]]
        found = {key: asked[key] for key in known} | {"AutoScalingGroupName": name, "Tags": tags}
        found |= {"CreatedTime": self._clock.now(), "SuspendedProcesses": []}
        self._groups[name] = ScalingGroup(found, [], (), self._start_seconds)
        self._settle()
        return {}

    def update_auto_scaling_group(self, AutoScalingGroupName: str, **bounds: int) -> dict[str, Any]:
        self._group(AutoScalingGroupName, "UpdateAutoScalingGroup").found.update(bounds)
        self._settle()
        return {}

    def suspend_processes(self, AutoScalingGroupName: str, ScalingProcesses: Sequence[str]) -> dict[str, Any]:
        group = self._group(AutoScalingGroupName, "SuspendProcesses")
        group.suspend(group.suspended | set(ScalingProcesses))
        return {}

    def resume_processes(self, AutoScalingGroupName: str, ScalingProcesses: Sequence[str]) -> dict[str, Any]:
        group = self._group(AutoScalingGroupName, "ResumeProcesses")
        group.suspend(group.suspended - set(ScalingProcesses))
        self._settle()
        return {}

    def create_or_update_tags(self, Tags: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        for tag in Tags:
            self._group(tag["ResourceId"], "CreateOrUpdateTags").tag({tag["Key"]: tag["Value"]})
        return {}

    def put_scaling_policy(self, AutoScalingGroupName: str, **policy: Any) -> dict[str, Any]:
        """It moves nothing here: the traffic stays as it is."""
        del policy
        self._group(AutoScalingGroupName, "PutScalingPolicy")
        return {}

    def detach_load_balancer_target_groups(
        self, AutoScalingGroupName: str, TargetGroupARNs: Sequence[str]
    ) -> dict[str, Any]:
        group = self._group(AutoScalingGroupName, "DetachLoadBalancerTargetGroups")
        group.found["TargetGroupARNs"] = [one for one in group.found["TargetGroupARNs"] if one not in TargetGroupARNs]
        return {}

    def delete_auto_scaling_group(self, AutoScalingGroupName: str, ForceDelete: bool = False) -> dict[str, Any]:
        del ForceDelete
        group = self._group(AutoScalingGroupName, "DeleteAutoScalingGroup")
        group.deleted_at = self._clock.now()
        group.found |= {"Status": "Delete in progress", "MinSize": 0, "DesiredCapacity": 0, "MaxSize": 0}
        self._settle()
        return {}

    def of_target_group(self, arn: str) -> list[ScalingGroup]:
        """Groups whose members are its targets."""
        return [group for group in self._groups.values() if arn in group.found.get("TargetGroupARNs", ())]

    def find(self, name: str) -> ScalingGroup | None:
        return self._groups.get(name)

    def _group(self, name: str, operation: str) -> ScalingGroup:
        self._load([name], ())
        if name not in self._groups:
            raise refusal("ValidationError", f"AutoScalingGroup name not found - {name}", operation)
        return self._groups[name]

    def _load(self, names: Sequence[str], filters: Sequence[Mapping[str, Any]]) -> None:
        """What is asked for and was not read yet. What was made or deleted here is not asked for again."""
        question = repr(filters)
        if filters and question not in self._listed:
            self._listed.add(question)
            self._keep(self._reads.items(SERVICE, "describe_auto_scaling_groups", "AutoScalingGroups", Filters=filters))
        for name in names:
            if name not in self._groups and name not in self._absent:
                self._absent.add(name)
                found = {"AutoScalingGroupNames": [name]}
                self._keep(self._reads.items(SERVICE, "describe_auto_scaling_groups", "AutoScalingGroups", **found))

    def _keep(self, found: list[dict[str, Any]]) -> None:
        for one in found:
            group = ScalingGroup.read(one, self._clock.now(), self._start_seconds)
            self._groups.setdefault(group.name, group)

    def _settle(self) -> None:
        now = self._clock.now()
        for name, group in list(self._groups.items()):
            group.settle(now)
            if group.is_gone(now):
                del self._groups[name]
                self._absent.add(name)


def _fits(tags: Mapping[str, str], filters: Sequence[Mapping[str, Any]]) -> bool:
    return all(tags.get(str(one["Name"]).removeprefix("tag:")) in one["Values"] for one in filters)
