"""The engine through the adapter: whole pushes on stock moto. What a kill does: test_crash_matrix.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from include.adapters.aws_fleet import AwsFleet
from include.errors import RefusedError
from include.fleet import ClusterRef, Image
from include.fleet.tags import PINNED
from include.redblack import (
    Build,
    CanaryGoal,
    Done,
    GroupTemplate,
    JanitorGoal,
    Need,
    Progress,
    PushGoal,
    SizeBounds,
    drive_canary,
    drive_janitor,
    drive_push,
    drive_teardown,
)
from tests.support.aws_stub import CountingClients, stub_aws

CLUSTER = ClusterRef("api", "main", "us-east-1")
TEMPLATE = GroupTemplate("m5.large", 8080, "/health")
NEED = Need(100.0)
MUTATING = ("Create", "Modify", "Delete", "Update", "Suspend", "Resume", "Add", "Detach")


def goal_of(image_id: str, run: str) -> PushGoal:
    build = Build.of_image(Image(image_id, "api-1", "available", datetime.now(UTC), {"redstart:version": "1.0"}))
    return PushGoal(CLUSTER, build, run, TEMPLATE, SizeBounds(2, 20), NEED, needs_traffic=False)


@pytest.fixture
def aws() -> Iterator[CountingClients]:
    with stub_aws() as clients:
        yield clients


def finish(turns: Iterator[Progress]) -> Progress:
    for turn, progress in enumerate(turns):
        assert turn < 60, progress
    return progress


def push(aws: CountingClients, goal: PushGoal) -> Progress:
    return finish(drive_push(AwsFleet("us-east-1", aws, "api-main"), goal, lambda: datetime.now(UTC)))


def world(aws: CountingClients) -> dict[str, object]:
    view = AwsFleet("us-east-1", aws, "api-main").view_cluster(CLUSTER)
    templates = {one["LaunchTemplateName"] for one in aws("ec2").describe_launch_templates()["LaunchTemplates"]}
    targets = {one["TargetGroupName"] for one in aws("elbv2").describe_target_groups()["TargetGroups"]}
    assert templates == targets == {group.name for group in view.groups}
    return {
        group.name: (group.image_id, group.capacity, group.weight, group.is_attached, group.suspended, group.is_partial)
        for group in view.groups
    }


def test_three_pushes_leave_red_and_one_black_group(aws: CountingClients) -> None:
    for number in range(3):
        assert isinstance(push(aws, goal_of(f"ami-{number}", f"push-{number}")).end, Done)
    view = AwsFleet("us-east-1", aws, "api-main").view_cluster(CLUSTER)
    assert {group.name: group.weight for group in view.groups} == {"api-main-v001": 0, "api-main-v002": 100}
    red = view.group("api-main-v002")
    assert red and red.tags[PINNED] == "" and red.capacity.minimum == 2 and not red.suspended


def test_a_push_costs_few_calls(aws: CountingClients) -> None:
    push(aws, goal_of("ami-1", "push-1"))
    aws.calls.clear()
    push(aws, goal_of("ami-2", "push-2"))
    mutating = Counter(call for call in aws.calls if call.startswith(MUTATING))
    assert sum(mutating.values()) <= 25, mutating


@pytest.mark.parametrize("by_janitor", [True, False])
def test_somebody_elses_group_of_that_name_is_refused_and_never_deleted(aws: CountingClients, by_janitor: bool) -> None:
    push(aws, goal_of("ami-1", "push-1"))
    scaling, ec2 = aws("autoscaling"), aws("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    data = {"ImageId": "ami-12345678", "InstanceType": "m5.large"}
    ec2.create_launch_template(LaunchTemplateName="theirs", LaunchTemplateData=data)
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="api-main-v001",
        MinSize=1,
        MaxSize=3,
        DesiredCapacity=2,
        LaunchTemplate={"LaunchTemplateName": "theirs"},
        VPCZoneIdentifier=subnet,
    )
    with pytest.raises(RefusedError, match="api-main-v001 .* belongs to nobody known"):
        push(aws, goal_of("ami-2", "push-2"))
    fleet = AwsFleet("us-east-1", aws, "api-main")
    if by_janitor:
        finish(drive_janitor(fleet, JanitorGoal(CLUSTER, 3600, 1, Need(1000.0)), lambda: datetime.now(UTC)))
    else:
        fleet.delete_group("api-main-v001")
    found = {one["AutoScalingGroupName"]: one for one in scaling.describe_auto_scaling_groups()["AutoScalingGroups"]}
    assert not found["api-main-v001"].get("Status")
    targets = {one["TargetGroupName"] for one in aws("elbv2").describe_target_groups()["TargetGroups"]}
    assert targets == {"api-main-v000"}


def test_a_canary_pair_is_launched_and_leaves_nothing_behind(aws: CountingClients) -> None:
    push(aws, goal_of("ami-1", "push-1"))
    before = world(aws)
    goal = CanaryGoal(
        CLUSTER, Build("ami-2"), Build("ami-1"), "canary-1", TEMPLATE, 2, 15.0, 60, NEED, needs_traffic=False
    )
    fleet = AwsFleet("us-east-1", aws, "api-main")
    assert isinstance(finish(drive_canary(fleet, goal, lambda: datetime.now(UTC))).end, Done)
    view = fleet.view_cluster(CLUSTER)
    whole = sum(view.weights.values())
    assert {name: weight / whole for name, weight in view.weights.items()} == pytest.approx(
        {"api-main-v000": 0.7, "api-main-canary-v001": 0.15, "api-main-baseline-v001": 0.15}, abs=0.005
    )
    assert isinstance(finish(drive_teardown(fleet, goal, lambda: datetime.now(UTC))).end, Done)
    assert world(aws) == before


def test_requests_are_counted_per_instance(aws: CountingClients) -> None:
    push(aws, goal_of("ami-1", "push-1"))
    now = datetime.now(UTC)
    fleet = AwsFleet("us-east-1", aws, "api-main", clock_now=lambda: now)
    group = fleet.view_cluster(CLUSTER).groups[0]
    busy = group.instances[0].instance_id
    aws("cloudwatch").put_metric_data(
        Namespace="Redstart/Instance",
        MetricData=[
            {
                "MetricName": "RequestCount",
                "Dimensions": [
                    {"Name": "AutoScalingGroupName", "Value": group.name},
                    {"Name": "InstanceId", "Value": busy},
                ],
                "Timestamp": now - timedelta(seconds=age),
                "Value": value,
                "StorageResolution": 1,
            }
            for age, value in ((4, 5.0), (9, 6.0), (300, 1000.0))
        ],
    )
    assert fleet.count_requests(group.name, seconds=30) == {busy: 11.0}
    assert AwsFleet("us-east-1", aws, "api-main", clock_now=lambda: now).count_requests(group.name, seconds=30) == {
        busy: 11.0
    }
