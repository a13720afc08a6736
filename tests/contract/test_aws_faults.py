"""Every call that changes anything, refused or done without a reply: the verb, tried again, ends the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from include.adapters.aws_fleet import AwsFleet
from include.errors import RetryableError
from include.fleet import Capacity, ClusterRef, Group, GroupSpec, ScalingPolicy
from include.fleet.tags import CLUSTER, RUN
from include.localcloud.clock import utc
from tests.support.local_cloud import LocalCloud
from tests.support.retrying import retrying_clients

CLUSTER_REF = ClusterRef("api", "main", "us-east-1")
NAME = "api-main-v000"
MAKING = (
    "CreateTargetGroup", "ModifyTargetGroupAttributes", "CreateLaunchTemplate", "CreateAutoScalingGroup",
    "SuspendProcesses", "ModifyListener", "PutScalingPolicy", "ResumeProcesses", "UpdateAutoScalingGroup",
    "CreateOrUpdateTags",
)  # fmt: skip
DELETING = (
    "DetachLoadBalancerTargetGroups",
    "DeleteTargetGroup",
    "DeleteLaunchTemplate",
    "DeleteAutoScalingGroup",
)
FAULTS: dict[str, dict[str, Any]] = {
    "throttled": {"code": "Throttling"},
    "unavailable": {"code": "ServiceUnavailable", "status": 503},
    "a gateway's page": {"page": "<html><body>502 Bad Gateway</body></html>", "status": 502},
    "a proxy's text": {"page": "upstream connect error", "status": 503},
    "a lost reply": {"lost_reply": True},
}


def persist(verb: Callable[[], None]) -> None:
    """As the engine does: again, until it is done."""
    for _ in range(3):
        try:
            return verb()
        except RetryableError as error:
            assert "us-east-1" in str(error)
    raise AssertionError("it never ended")


def make(fleet: AwsFleet, image_id: str) -> None:
    spec = GroupSpec(
        NAME, CLUSTER_REF, image_id, Capacity(2, 3, 9), "m5.large", 8080, "/health",
        suspended=frozenset({"AZRebalance"}), tags={CLUSTER: "api-main", RUN: "push-1"},
    )  # fmt: skip
    verbs: list[Callable[[], None]] = [
        partial(fleet.create_group, spec),
        partial(fleet.set_weights, CLUSTER_REF, {NAME: 100}),
        partial(fleet.put_scaling_policy, NAME, ScalingPolicy(20.0, 60.0)),
        partial(fleet.resume_processes, NAME, ["AZRebalance"]),
        partial(fleet.resize_group, NAME, Capacity.pinned(4)),
        partial(fleet.tag_group, NAME, {"redstart:pinned": "4"}),
    ]
    for verb in verbs:
        persist(verb)


def delete(fleet: AwsFleet) -> None:
    persist(lambda: fleet.set_weights(CLUSTER_REF, {}))
    persist(lambda: fleet.delete_group(NAME))


def fleet_of(cloud: LocalCloud, clients: Callable[[str], Any] | None = None) -> AwsFleet:
    return AwsFleet("us-east-1", clients or cloud.client, "api-main", clock_now=lambda: utc(cloud.clock.now()))


def check_made(cloud: LocalCloud, operation: str) -> None:
    cloud.advance(20)
    (group,) = fleet_of(cloud).view_cluster(CLUSTER_REF).groups
    assert isinstance(group, Group)
    assert (group.capacity, group.weight, group.suspended) == (Capacity.pinned(4), 100, frozenset()), operation
    assert (group.healthy_count, group.tags["redstart:pinned"], group.tags[RUN]) == (4, "4", "push-1"), operation
    assert len(cloud.client("autoscaling").describe_policies()["ScalingPolicies"]) == 1, operation


def check_deleted(cloud: LocalCloud, operation: str) -> None:
    cloud.advance(60)
    assert fleet_of(cloud).view_cluster(CLUSTER_REF).groups == (), operation
    assert cloud.client("elbv2").describe_target_groups()["TargetGroups"] == [], operation
    assert cloud.client("ec2").describe_launch_templates()["LaunchTemplates"] == [], operation


def strike(cloud: LocalCloud, operation: str, fault: dict[str, Any]) -> None:
    cloud.faults.clear()
    cloud.faults.add([{"action": operation, "times": 1, **fault}])


@pytest.mark.parametrize("kind", FAULTS)
def test_a_verb_tried_again_ends_the_same(local_cloud: LocalCloud, kind: str) -> None:
    for operation in (*MAKING, *DELETING):
        fleet = fleet_of(local_cloud)
        image_id = local_cloud.base_image()
        strike(local_cloud, operation, FAULTS[kind])
        make(fleet, image_id)
        check_made(local_cloud, operation)
        delete(fleet)
        assert [fault["fired"] for fault in local_cloud.faults.listed()] == [1], operation
        check_deleted(local_cloud, operation)


def test_a_lost_reply_that_botocore_tries_again_is_no_foreign_thing(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = retrying_clients(local_cloud, monkeypatch)
    for operation in (*MAKING, *DELETING):
        fleet = fleet_of(local_cloud, clients)
        strike(local_cloud, operation, FAULTS["a lost reply"])
        make(fleet, local_cloud.base_image())
        check_made(local_cloud, operation)
        delete(fleet)
        assert [fault["fired"] for fault in local_cloud.faults.listed()] == [1], operation
        check_deleted(local_cloud, operation)
