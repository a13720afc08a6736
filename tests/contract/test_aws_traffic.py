"""Traffic read and followed through the fleet's adapter, on the local cloud's control plane."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.adapters.aws_fleet import AwsFleet
from include.adapters.aws_groups import GroupSettings
from include.errors import RefusedError
from include.fleet import Capacity, ClusterRef, GroupSpec, ScalingPolicy, TrafficHistory
from include.fleet.tags import CLUSTER, RUN, SCALING
from include.localcloud.clock import utc
from tests.support.cloud_things import Things
from tests.support.local_cloud import LocalCloud

CLUSTER_REF = ClusterRef("api", "main", "us-east-1")
NAME = "api-main-v000"
BEFORE_CHANGE: Callable[[str, str], None] = lambda operation, subject: None  # noqa: E731


def fleet_of(cloud: LocalCloud, before_change: Callable[[str, str], None] = BEFORE_CHANGE) -> AwsFleet:
    settings = GroupSettings(traffic_period_seconds=5)
    return AwsFleet(
        "us-east-1", cloud.client, "api-main", settings, lambda: utc(cloud.clock.now()), before_change=before_change
    )


def make_group(cloud: LocalCloud, size: int = 3) -> AwsFleet:
    fleet = fleet_of(cloud)
    tags = {CLUSTER: "api-main", RUN: "push-1"}
    capacity = Capacity(1, size, 9)
    fleet.create_group(
        GroupSpec(NAME, CLUSTER_REF, cloud.base_image(), capacity, "m5.large", 8080, "/health", tags=tags)
    )
    return fleet


def serve(cloud: LocalCloud, size: int = 3) -> AwsFleet:
    fleet = make_group(cloud, size)
    fleet.set_weights(CLUSTER_REF, {NAME: 100})
    cloud.advance(20)
    return fleet


def test_a_policy_tracks_the_requests_of_the_groups_targets(local_cloud: LocalCloud, things: Things) -> None:
    fleet = serve(local_cloud)
    local_cloud.calls.clear()
    fleet.put_scaling_policy(NAME, ScalingPolicy(target_rps=25.0, warmup_seconds=90.0))
    assert sum(one["count"] for one in local_cloud.calls.since(0)) <= 3
    assert fleet.view_cluster(CLUSTER_REF).groups[0].tags[SCALING] == ScalingPolicy(25.0, 90.0).words
    fleet_of(local_cloud).put_scaling_policy(NAME, ScalingPolicy(target_rps=30.0, warmup_seconds=90.0))
    (policy,) = things.scaling.describe_policies(AutoScalingGroupName=NAME)["ScalingPolicies"]
    tracking = policy["TargetTrackingConfiguration"]
    balancer = things.elb.describe_load_balancers(Names=["api-main"])["LoadBalancers"][0]["LoadBalancerArn"]
    targets = things.elb.describe_target_groups(Names=[NAME])["TargetGroups"][0]["TargetGroupArn"]
    assert tracking["TargetValue"] == 1800.0 and policy["EstimatedInstanceWarmup"] == 90
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "ALBRequestCountPerTarget",
        "ResourceLabel": f"{balancer.split(':loadbalancer/')[1]}/targetgroup/{targets.split(':targetgroup/')[1]}",
    }


def test_a_policy_needs_a_group_that_the_listener_lists(local_cloud: LocalCloud) -> None:
    policy = ScalingPolicy(25.0, 90.0)
    fleet = make_group(local_cloud)
    with pytest.raises(RefusedError, match=f"put_scaling_policy in us-east-1 for {NAME}: .* does not route traffic"):
        fleet.put_scaling_policy(NAME, policy)
    with pytest.raises(RefusedError, match="api-main-v777 has no target group"):
        fleet.put_scaling_policy("api-main-v777", policy)


def test_an_alarm_scales_the_group_unless_its_alarms_are_suspended(local_cloud: LocalCloud, things: Things) -> None:
    fleet, world = serve(local_cloud), local_cloud.world
    with pytest.raises(RefusedError, match="no alarm would come"):
        world.scale_by_policy(NAME, 5, region="us-east-1")
    fleet.put_scaling_policy(NAME, ScalingPolicy(25.0, 90.0))
    assert world.scale_by_policy(NAME, 5, region="us-east-1")
    local_cloud.advance(20)
    assert len(things.members(NAME)) == 5
    assert world.scale_by_policy(NAME, 99, region="us-east-1")
    assert things.describe(NAME)["DesiredCapacity"] == 9
    fleet.suspend_processes(NAME, ["AlarmNotification"])
    assert not world.scale_by_policy(NAME, 1, region="us-east-1")
    assert things.describe(NAME)["DesiredCapacity"] == 9


def test_traffic_is_what_the_listener_served_in_periods_that_are_over(local_cloud: LocalCloud) -> None:
    fleet = serve(local_cloud)
    assert fleet.read_traffic(CLUSTER_REF, seconds=60) == TrafficHistory(5)
    local_cloud.serve(40.0)
    local_cloud.advance(33)
    local_cloud.calls.clear()
    history = fleet.read_traffic(CLUSTER_REF, seconds=25)
    assert [(one["action"], one["count"]) for one in local_cloud.calls.since(0)] == [("GetMetricData", 1)]
    assert [rps for _, rps in history.points[-3:]] == pytest.approx([40.0] * 3)
    moments = [at for at, _ in history.points]
    assert all((later - earlier).total_seconds() == 5 for earlier, later in zip(moments, moments[1:], strict=False))
    assert all(at <= utc(local_cloud.clock.now()) and at.tzinfo is not None for at in moments)
    assert 3 <= len(moments) <= 5


def test_a_pause_between_two_busy_periods_is_no_traffic(local_cloud: LocalCloud) -> None:
    fleet = serve(local_cloud)
    for rps in (40.0, 0.0, 40.0):
        local_cloud.serve(rps)
        local_cloud.advance(20)
    values = [rps for _, rps in fleet.read_traffic(CLUSTER_REF, seconds=90).points]
    assert values.count(0.0) >= 2 and values[0] > 0 and values[-1] > 0


def test_the_health_that_is_not_asked_for_is_not_read(local_cloud: LocalCloud) -> None:
    fleet = serve(local_cloud)
    fleet.view_cluster(CLUSTER_REF)
    for asked, calls, is_read in (({NAME}, 3, True), ((), 2, False), (None, 3, True)):
        local_cloud.calls.clear()
        group = fleet.view_cluster(CLUSTER_REF, health_of=asked).groups[0]
        assert sum(one["count"] for one in local_cloud.calls.since(0)) == calls
        assert (group.is_health_read, group.healthy_count) == (is_read, 3)
    fleet.set_weights(CLUSTER_REF, {})
    group = fleet.view_cluster(CLUSTER_REF, health_of=()).groups[0]
    assert group.is_health_read and group.healthy_count == 0  # nobody checks it: nobody may count on it


def test_an_instance_that_auto_scaling_thinks_ill_is_not_well(local_cloud: LocalCloud, things: Things) -> None:
    fleet = serve(local_cloud)
    fleet.suspend_processes(NAME, ["Terminate"])
    ill = things.members(NAME)[0]
    things.scaling.set_instance_health(InstanceId=ill, HealthStatus="Unhealthy")
    group = fleet.view_cluster(CLUSTER_REF, health_of=()).groups[0]
    assert [one.instance_id for one in group.instances if not one.is_well] == [ill]
    assert group.healthy_count == 2


class LostError(Exception):
    pass


def test_every_change_asks_first_and_is_stopped_by_a_no(local_cloud: LocalCloud) -> None:
    serve(local_cloud)
    asked: list[tuple[str, str]] = []

    def refuse(operation: str, subject: str) -> None:
        asked.append((operation, subject))
        raise LostError

    fleet = fleet_of(local_cloud, refuse)
    fleet.view_cluster(CLUSTER_REF)
    fleet.read_traffic(CLUSTER_REF, seconds=60)
    fleet.count_requests(NAME, seconds=30)
    assert asked == []
    before = fleet.view_cluster(CLUSTER_REF).groups
    spec = GroupSpec("api-main-v001", CLUSTER_REF, "ami-1", Capacity(1, 1, 1), "m5.large", 8080, "/")
    changes: list[Callable[[], None]] = [
        lambda: fleet.create_group(spec),
        lambda: fleet.set_weights(CLUSTER_REF, {NAME: 1}),
        lambda: fleet.resize_group(NAME, Capacity.pinned(1)),
        lambda: fleet.suspend_processes(NAME, ["Launch"]),
        lambda: fleet.resume_processes(NAME, ["Launch"]),
        lambda: fleet.tag_group(NAME, {"redstart:pinned": "1"}),
        lambda: fleet.put_scaling_policy(NAME, ScalingPolicy(1.0, 1.0)),
    ]
    for change in changes:
        with pytest.raises(LostError):
            change()
    assert [operation for operation, _ in asked] == [
        "create_target_group", "modify_listener", "update_auto_scaling_group", "suspend_processes",
        "resume_processes", "create_or_update_tags", "put_scaling_policy",
    ]  # fmt: skip
    assert fleet.view_cluster(CLUSTER_REF).groups == before
    fleet_of(local_cloud).set_weights(CLUSTER_REF, {})
    with pytest.raises(LostError):
        fleet.delete_group(NAME)
