"""Load balancing in a rehearsal: target groups, their health, and the listener's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from include.adapters.aws_rehearsal_reads import RealReads
from include.adapters.aws_rehearsal_scaling import RehearsedScaling
from include.adapters.aws_rehearsal_state import Clock, Member, ScalingGroup, refusal

SERVICE = "elbv2"
HEALTHY = {"State": "healthy"}
STARTING = {"State": "initial", "Reason": "Elb.RegistrationInProgress"}


class RehearsedBalancing:
    """Each public method without an underscore is an operation of AWS, with its parameters and its answer."""

    def __init__(self, reads: RealReads, clock: Clock, scaling: RehearsedScaling) -> None:
        self._reads, self._clock, self._scaling = reads, clock, scaling
        self._target_groups: dict[str, dict[str, Any]] = {}
        self._tags: dict[str, list[dict[str, str]]] = {}
        self._listeners: dict[str, list[dict[str, Any]]] = {}
        self._checked: set[str] = set()
        self._attached: dict[str, datetime] = {}
        self._shared: dict[str, datetime] = {}
        self._is_read = False

    def describe_load_balancers(self, Names: Sequence[str]) -> dict[str, Any]:
        return {
            "LoadBalancers": self._reads.items(SERVICE, "describe_load_balancers", "LoadBalancers", Names=list(Names))
        }

    def describe_listeners(self, LoadBalancerArn: str) -> dict[str, Any]:
        if LoadBalancerArn not in self._listeners:
            found = self._reads.items(SERVICE, "describe_listeners", "Listeners", LoadBalancerArn=LoadBalancerArn)
            self._listeners[LoadBalancerArn] = [dict(one) for one in found]
        return {"Listeners": self._listeners[LoadBalancerArn]}

    def describe_target_groups(self, Names: Sequence[str] = ()) -> dict[str, Any]:
        self._read()
        found = [one for one in self._target_groups.values() if not Names or one["TargetGroupName"] in Names]
        if Names and not found:
            raise refusal("TargetGroupNotFound", f"no target group {', '.join(Names)}", "DescribeTargetGroups")
        return {"TargetGroups": found}

    def describe_tags(self, ResourceArns: Sequence[str]) -> dict[str, Any]:
        unknown = [arn for arn in ResourceArns if arn not in self._tags]
        if unknown:
            for one in self._reads.items(SERVICE, "describe_tags", "TagDescriptions", ResourceArns=unknown):
                self._tags[one["ResourceArn"]] = one["Tags"]
        known = [arn for arn in ResourceArns if arn in self._tags]
        return {"TagDescriptions": [{"ResourceArn": arn, "Tags": self._tags[arn]} for arn in known]}

    def describe_target_health(self, TargetGroupArn: str) -> dict[str, Any]:
        self._check(TargetGroupArn)
        told = [
            {"Target": {"Id": member.instance_id}, "TargetHealth": self._health(TargetGroupArn, member)}
            for group in self._scaling.of_target_group(TargetGroupArn)
            for member in group.members
        ]
        return {"TargetHealthDescriptions": told}

    def create_target_group(self, **asked: Any) -> dict[str, Any]:
        self._read()
        name = asked["Name"]
        if any(one["TargetGroupName"] == name for one in self._target_groups.values()):
            raise refusal("DuplicateTargetGroupName", f"{name} exists", "CreateTargetGroup")
        arn = placeholder_arn(name)
        made = {**asked, "TargetGroupName": name, "TargetGroupArn": arn}
        self._target_groups[arn], self._tags[arn] = made, asked["Tags"]
        self._checked.add(arn)
        return {"TargetGroups": [made]}

    def modify_target_group_attributes(self, **asked: Any) -> dict[str, Any]:
        return {"Attributes": asked["Attributes"]}

    def delete_target_group(self, TargetGroupArn: str) -> dict[str, Any]:
        self._target_groups.pop(TargetGroupArn, None)
        return {}

    def modify_listener(self, ListenerArn: str, DefaultActions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        listener = next(
            one for listed in self._listeners.values() for one in listed if one["ListenerArn"] == ListenerArn
        )
        before, listener["DefaultActions"] = _weights(listener), [_kept(action) for action in DefaultActions]
        after, now = _weights(listener), self._clock.now()
        for arn, weight in after.items():
            if arn not in before:
                self._attached[arn] = now
            if weight > 0 and not before.get(arn):
                self._shared[arn] = now
        return {"Listeners": [listener]}

    def shared_since(self, group: str) -> datetime | None:
        """Since when the group has a share of the traffic: of one that had it from the first, the beginning of time;
        None where it has none."""
        weights = {
            arn: one for listed in self._listeners.values() for each in listed for arn, one in _weights(each).items()
        }
        arns = [arn for arn, weight in weights.items() if weight > 0 and f":targetgroup/{group}/" in arn]
        return self._shared.get(arns[0], datetime.min.replace(tzinfo=self._clock.now().tzinfo)) if arns else None

    def serves(self, group: ScalingGroup, member: Member) -> bool:
        arns = group.found.get("TargetGroupARNs", ())
        return any(self._health(arn, member) == HEALTHY for arn in arns)

    def _health(self, arn: str, member: Member) -> Mapping[str, str]:
        """Healthy once it can serve and has been checked for long enough."""
        at = self._clock.now()
        attached = self._attached.get(arn)
        found = self._target_groups.get(arn, {})
        checks = found.get("HealthCheckIntervalSeconds", 5) * found.get("HealthyThresholdCount", 2)
        if attached is not None and at < attached + timedelta(seconds=checks):
            return STARTING
        return HEALTHY if at >= member.ready_at else STARTING

    def _check(self, arn: str) -> None:
        """The real health, once: who is not healthy there is not healthy here."""
        if arn in self._checked or arn in self._attached:
            return
        self._checked.add(arn)
        answers = self._reads.items(SERVICE, "describe_target_health", "TargetHealthDescriptions", TargetGroupArn=arn)
        states = {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in answers}
        for group in self._scaling.of_target_group(arn):
            for member in group.members:
                if states.get(member.instance_id) != "healthy" and self._clock.now() >= member.ready_at:
                    group.heal_later(member, self._clock.now())

    def _read(self) -> None:
        if not self._is_read:
            self._is_read = True
            for one in self._reads.items(SERVICE, "describe_target_groups", "TargetGroups"):
                self._target_groups[one["TargetGroupArn"]] = one


def placeholder_arn(name: str) -> str:
    """Of a target group that is not made yet: read as AWS's are, and no ARN of AWS."""
    return f"(new):targetgroup/{name}/(id)"


def _weights(listener: Mapping[str, Any]) -> dict[str, int]:
    targets = [one for action in listener.get("DefaultActions", ()) for one in _targets(action)]
    return {one["TargetGroupArn"]: int(one.get("Weight", 1)) for one in targets}


def _kept(action: Mapping[str, Any]) -> Mapping[str, Any]:
    """As AWS tells it afterwards: with what was left out."""
    if "ForwardConfig" not in action:
        return action
    return {**action, "ForwardConfig": {"TargetGroupStickinessConfig": {"Enabled": False}, **action["ForwardConfig"]}}


def _targets(action: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    forward: Sequence[Mapping[str, Any]] = action.get("ForwardConfig", {}).get("TargetGroups", ())
    return forward or ([action] if action.get("TargetGroupArn") else ())
