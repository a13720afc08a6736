"""The fleet's port over Auto Scaling, ELBv2, EC2 and CloudWatch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from include.adapters.aws_errors import AwsCalls, BeforeChange, ClientFactory, allow, tag_map
from include.adapters.aws_groups import AwsGroups, GroupSettings
from include.adapters.aws_listener import AwsListener, name_of
from include.adapters.aws_traffic import AwsTraffic
from include.errors import RefusedError
from include.fleet.tags import CLUSTER, IMAGE, SCALING
from include.fleet.values import (
    Capacity,
    ClusterRef,
    ClusterView,
    Group,
    GroupSpec,
    Instance,
    ScalingPolicy,
    TrafficHistory,
)

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


class AwsFleet:
    """Groups of one region behind the load balancer named `load_balancer`; see include/fleet/port.py.

    A view reads groups, listener, and the target health of each attached group that it is asked for: 3 calls for
    one group, whatever its size. Only the first view, and one after a group was made or deleted here, reads the
    region's target groups too, to see groups that were left half-made. `before_change` is asked before each call
    that changes anything; what it raises stops the call.
    """

    def __init__(
        self,
        region: str,
        clients: ClientFactory,
        load_balancer: str,
        settings: GroupSettings | None = None,
        clock_now: Callable[[], datetime] = utc_now,
        before_change: BeforeChange = allow,
    ) -> None:
        self.region = region
        settings = settings or GroupSettings()
        self._calls = AwsCalls(region, clients, before_change)
        self._listener = AwsListener(self._calls, load_balancer)
        self._groups = AwsGroups(self._calls, settings)
        self._traffic = AwsTraffic(self._calls, settings.traffic_period_seconds)
        self._now = clock_now
        self._arns: dict[str, str] = {}
        self._members: dict[str, list[str]] = {}
        self._partial: list[Group] | None = None

    def view_cluster(self, cluster: ClusterRef, *, health_of: Collection[str] | None = None) -> ClusterView:
        filters = [{"Name": f"tag:{CLUSTER}", "Values": [cluster.name]}]
        found = list(
            self._calls.pages(
                "autoscaling",
                "describe_auto_scaling_groups",
                "AutoScalingGroups",
                subject=cluster.name,
                Filters=filters,
            )
        )
        _, weights, _ = self._listener.read()
        groups = [self._read_group(one, weights, health_of) for one in found]
        self._members = {group.name: [one.instance_id for one in group.instances] for group in groups}
        names = {group.name for group in groups}
        listed = {name_of(arn): weight for arn, weight in weights.items()}
        if self._partial is None or self._is_orphaned(cluster, listed, names):
            self._partial = self._find_partial(cluster, names, weights)
        partial = [
            replace(group, weight=listed.get(group.name, 0), is_attached=group.name in listed)
            for group in self._partial
            if group.name not in names
        ]
        known = names | {group.name for group in partial}
        strangers = {name: weight for name, weight in listed.items() if name not in known}
        return ClusterView(cluster, self._now(), (*groups, *partial), strangers)

    def _is_orphaned(self, cluster: ClusterRef, listed: Mapping[str, int], names: set[str]) -> bool:
        """Whether the listener lists a target group of the cluster whose Auto Scaling group went away meanwhile."""
        known = names | {group.name for group in self._partial or ()}
        return any(name.startswith(f"{cluster.name}-") and name not in known for name in listed)

    def create_group(self, spec: GroupSpec) -> None:
        self._partial = None
        self._groups.create(spec)

    def set_weights(self, cluster: ClusterRef, weights: Mapping[str, int]) -> None:
        self._listener.write(weights, self._arns)

    def resize_group(self, name: str, capacity: Capacity) -> None:
        self._calls.call(
            "autoscaling",
            "update_auto_scaling_group",
            subject=name,
            AutoScalingGroupName=name,
            MinSize=capacity.minimum,
            DesiredCapacity=capacity.desired,
            MaxSize=capacity.maximum,
        )

    def suspend_processes(self, name: str, processes: Sequence[str]) -> None:
        self._switch_processes("suspend_processes", name, processes)

    def resume_processes(self, name: str, processes: Sequence[str]) -> None:
        self._switch_processes("resume_processes", name, processes)

    def tag_group(self, name: str, tags: Mapping[str, str]) -> None:
        """On the group alone: what is noted about a group says nothing to its instances."""
        entry = {"ResourceId": name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
        listed = [{**entry, "Key": key, "Value": value} for key, value in sorted(tags.items())]
        self._calls.call("autoscaling", "create_or_update_tags", subject=name, Tags=listed)

    def delete_group(self, name: str) -> None:
        self._partial = None
        _, weights, _ = self._listener.read()
        by_name = {name_of(arn): weight for arn, weight in weights.items()}
        if by_name.get(name, 0) > 0:
            raise RefusedError(f"delete_group in {self.region}: {name} takes traffic (weight {by_name[name]})")
        if name in by_name:
            rest = {other: weight for other, weight in by_name.items() if other != name}
            self._listener.write(rest, self._arns)
        # Asked for by name even when known: after a lost reply it may be gone.
        self._arns.pop(name, None)
        self._groups.delete(name, self._listener.find_target_groups([name]).get(name))

    def put_scaling_policy(self, name: str, policy: ScalingPolicy) -> None:
        self._groups.put_policy(name, policy, self._listener.balancer_arn(), self._target_group_arn(name))
        self.tag_group(name, {SCALING: policy.words})

    def address(self) -> str:
        return self._listener.address()

    def read_traffic(self, cluster: ClusterRef, *, seconds: int) -> TrafficHistory:
        return self._traffic.history(self._listener.balancer_arn(), self._now(), seconds)

    def count_requests(self, group: str, *, seconds: int) -> dict[str, float]:
        members = self._members.get(group)
        if members is None:
            found = self._groups.find_scaling_group(group) or {}
            members = [one["InstanceId"] for one in found.get("Instances", ())]
        return self._traffic.count(group, members, self._now(), seconds)

    def _switch_processes(self, operation: str, name: str, processes: Sequence[str]) -> None:
        self._calls.call(
            "autoscaling", operation, subject=name, AutoScalingGroupName=name, ScalingProcesses=sorted(processes)
        )

    def _target_group_arn(self, name: str) -> str:
        arns = self._arns if name in self._arns else self._listener.find_target_groups([name])
        if name not in arns:
            raise RefusedError(f"put_scaling_policy in {self.region}: {name} has no target group")
        return arns[name]

    def _read_group(
        self, found: Mapping[str, Any], weights: Mapping[str, int], health_of: Collection[str] | None
    ) -> Group:
        name, tags = str(found["AutoScalingGroupName"]), tag_map(found.get("Tags"))
        arn = next((one for one in found.get("TargetGroupARNs", ()) if name_of(one) == name), None)
        if arn:
            self._arns[name] = arn
        is_attached = arn in weights
        is_asked = health_of is None or name in health_of
        health = self._read_health(name, arn) if arn and is_attached and is_asked else {}
        image_id = tags.get(IMAGE, "")
        members = sorted(found.get("Instances", ()), key=lambda one: str(one["InstanceId"]))  # AWS keeps no order
        return Group(
            name=name,
            image_id=image_id,
            capacity=Capacity(found["MinSize"], found["DesiredCapacity"], found["MaxSize"]),
            created_at=found["CreatedTime"],
            instances=tuple(_read_instance(one, image_id, health) for one in members),
            weight=weights.get(arn or "", 0),
            suspended=frozenset(one["ProcessName"] for one in found.get("SuspendedProcesses", ())),
            tags=tags,
            is_deleting=bool(found.get("Status")),  # AWS fills it only with "Delete in progress"
            is_attached=is_attached,
            is_health_read=is_asked or not is_attached,  # nobody checks what no listener lists
        )

    def _read_health(self, name: str, arn: str) -> dict[str, Mapping[str, str]]:
        answer = self._calls.call("elbv2", "describe_target_health", subject=name, TargetGroupArn=arn)
        return {one["Target"]["Id"]: one["TargetHealth"] for one in answer["TargetHealthDescriptions"]}

    def _find_partial(self, cluster: ClusterRef, names: set[str], weights: Mapping[str, int]) -> list[Group]:
        """Groups of which only the target group is there, by its tags."""
        found = self._calls.pages("elbv2", "describe_target_groups", "TargetGroups", subject=cluster.name)
        lonely = {
            one["TargetGroupName"]: one["TargetGroupArn"]
            for one in found
            if one["TargetGroupName"].startswith(f"{cluster.name}-") and one["TargetGroupName"] not in names
        }
        tags = self._groups.target_group_tags(list(lonely.values()))
        return [
            Group(
                name=name,
                image_id="",
                capacity=Capacity.pinned(0),
                created_at=NEVER,
                weight=weights.get(arn, 0),
                tags=tags.get(arn, {}),
                is_attached=arn in weights,
                is_partial=True,
            )
            for name, arn in lonely.items()
            if tags.get(arn, {}).get(CLUSTER) == cluster.name
        ]


def _read_instance(found: Mapping[str, Any], image_id: str, health: Mapping[str, Mapping[str, str]]) -> Instance:
    target = health.get(found["InstanceId"], {})
    return Instance(
        instance_id=found["InstanceId"],
        zone=found.get("AvailabilityZone", ""),
        lifecycle=found.get("LifecycleState", ""),
        image_id=image_id,
        target_state=target.get("State"),
        target_reason=target.get("Description") or target.get("Reason") or "",
        is_well=found.get("HealthStatus", "Healthy") == "Healthy",
    )
