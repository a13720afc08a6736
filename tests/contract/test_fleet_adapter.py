"""The fleet's adapter and the engine on the local cloud's control plane: states that stock moto does not have."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from include.adapters.aws_fleet import AwsFleet
from include.adapters.aws_groups import GroupSettings
from include.fleet import ClusterRef, Group
from include.localcloud.clock import utc
from include.redblack import (
    Build,
    CanaryGoal,
    Done,
    Failed,
    GroupTemplate,
    Need,
    Progress,
    PushGoal,
    SizeBounds,
    drive_canary,
    drive_push,
    drive_teardown,
)
from include.redblack.roles import BLACK_SUSPENDED
from include.redblack.steps import WaitTakingTraffic
from include.services.settings import PROD_ACCOUNT
from tests.support.local_cloud import LocalCloud
from tests.support.retrying import retrying_clients

CLUSTER = ClusterRef("api", "main", "us-east-1")
TEMPLATE = GroupTemplate("m5.large", 8080, "/health")
NEED = Need(100.0, floor=2)
NOTHING: Callable[[Progress], None] = lambda progress: None  # noqa: E731


def fleet_of(cloud: LocalCloud, clients: Callable[[str], Any] | None = None) -> AwsFleet:
    return AwsFleet("us-east-1", clients or cloud.client, "api-main", GroupSettings(grace_seconds=15), now_of(cloud))


def now_of(cloud: LocalCloud) -> Callable[[], datetime]:
    return lambda: utc(cloud.clock.now())


def image(cloud: LocalCloud, name: str) -> str:
    return cloud.world.register_base_image(PROD_ACCOUNT, "us-east-1", "content", name)


def goal_of(image_id: str, run: str) -> PushGoal:
    return PushGoal(CLUSTER, Build(image_id), run, TEMPLATE, SizeBounds(3, 20), NEED, needs_traffic=False)


def finish(local_cloud: LocalCloud, turns: Iterator[Progress], each: Callable[[Progress], None] = NOTHING) -> Progress:
    for turn, progress in enumerate(turns):
        each(progress)
        if progress.end is None:
            local_cloud.advance(progress.pause_seconds)
        assert turn < 400, progress.sentence
    return progress


def push(local_cloud: LocalCloud, goal: PushGoal, each: Callable[[Progress], None] = NOTHING) -> Progress:
    return finish(local_cloud, drive_push(fleet_of(local_cloud), goal, now_of(local_cloud)), each)


def serving(groups: tuple[Group, ...]) -> int:
    return sum(group.healthy_count for group in groups if group.is_enabled)


def test_pushes_replace_each_other_without_ever_serving_with_less(local_cloud: LocalCloud) -> None:
    one, two, three = (image(local_cloud, f"redstart-base-{number}") for number in "123")
    assert isinstance(push(local_cloud, goal_of(one, "push-1")).end, Done)
    fewest = []

    def note(progress: Progress) -> None:
        fewest.append(serving(fleet_of(local_cloud).view_cluster(CLUSTER).groups))

    assert isinstance(push(local_cloud, goal_of(two, "push-2"), note).end, Done)
    assert isinstance(push(local_cloud, goal_of(three, "push-3"), note).end, Done)
    assert min(fewest) >= 3
    local_cloud.advance(60)
    groups = {group.name: group for group in fleet_of(local_cloud).view_cluster(CLUSTER).groups}
    assert {name: group.weight for name, group in groups.items()} == {"api-main-v001": 0, "api-main-v002": 100}
    assert groups["api-main-v001"].suspended >= BLACK_SUSPENDED
    assert groups["api-main-v001"].healthy_count == 4  # black stays attached and checked: warm
    assert groups["api-main-v002"].capacity.minimum == 3


def test_instances_pass_through_the_states_that_aws_shows(local_cloud: LocalCloud) -> None:
    seen: set[tuple[str, str | None]] = set()

    def note(progress: Progress) -> None:
        groups = progress.view.groups if progress.view else ()
        seen.update((one.lifecycle, one.target_state) for group in groups for one in group.instances)

    push(local_cloud, goal_of(image(local_cloud, "redstart-base-1"), "push-1"), note)
    assert ("InService", "healthy") in seen
    assert ("InService", "initial") in seen or ("InService", "unused") in seen
    zones = {one.zone for group in fleet_of(local_cloud).view_cluster(CLUSTER).groups for one in group.instances}
    assert len(zones) == 3


def test_an_image_whose_machines_do_not_answer_is_rolled_back(local_cloud: LocalCloud) -> None:
    good, bad = image(local_cloud, "redstart-base-1"), image(local_cloud, "redstart-base-2")
    push(local_cloud, goal_of(good, "push-1"))
    healthy = set(local_cloud.machines.specs)

    def sicken(progress: Progress) -> None:
        for instance_id in set(local_cloud.machines.specs) - healthy:
            local_cloud.machines.sicken(instance_id)
        assert serving(fleet_of(local_cloud).view_cluster(CLUSTER).groups) >= 3

    progress = push(local_cloud, replace(goal_of(bad, "push-2"), launch_within_seconds=60), sicken)
    assert isinstance(progress.end, Failed), progress.sentence
    local_cloud.advance(60)
    view = fleet_of(local_cloud).view_cluster(CLUSTER)
    assert {group.name: group.weight for group in view.groups} == {"api-main-v000": 100}
    assert local_cloud.client("elbv2").describe_target_groups()["TargetGroups"][0]["TargetGroupName"] == "api-main-v000"
    assert len(local_cloud.client("ec2").describe_launch_templates()["LaunchTemplates"]) == 1


def test_a_canary_pair_comes_and_goes(local_cloud: LocalCloud) -> None:
    one, two = image(local_cloud, "redstart-base-1"), image(local_cloud, "redstart-base-2")
    push(local_cloud, goal_of(one, "push-1"))
    goal = CanaryGoal(CLUSTER, Build(two), Build(one), "canary-1", TEMPLATE, 2, 15.0, 60, NEED, needs_traffic=False)
    assert isinstance(finish(local_cloud, drive_canary(fleet_of(local_cloud), goal, now_of(local_cloud))).end, Done)
    weights = fleet_of(local_cloud).view_cluster(CLUSTER).weights
    assert weights == {"api-main-v000": 70, "api-main-canary-v001": 15, "api-main-baseline-v001": 15}
    assert isinstance(finish(local_cloud, drive_teardown(fleet_of(local_cloud), goal, now_of(local_cloud))).end, Done)
    local_cloud.advance(60)
    assert [group.name for group in fleet_of(local_cloud).view_cluster(CLUSTER).groups] == ["api-main-v000"]


def test_a_view_costs_four_reads_while_two_groups_are_attached(local_cloud: LocalCloud) -> None:
    for name in ("1", "2"):
        push(local_cloud, goal_of(image(local_cloud, f"redstart-base-{name}"), f"push-{name}"))
    fleet = fleet_of(local_cloud)
    fleet.view_cluster(CLUSTER)
    local_cloud.calls.clear()
    fleet.view_cluster(CLUSTER)
    assert sum(one["count"] for one in local_cloud.calls.since(0)) == 4


def test_previous_leaves_traffic_only_when_requests_were_seen_on_every_red_instance(local_cloud: LocalCloud) -> None:
    one, two = image(local_cloud, "redstart-base-1"), image(local_cloud, "redstart-base-2")
    push(local_cloud, goal_of(one, "push-1"))
    waits: list[str] = []

    def serve(progress: Progress) -> None:
        groups = progress.view.groups if progress.view else ()
        red = next((group for group in groups if group.name == "api-main-v001" and group.is_enabled), None)
        if red and isinstance(progress.step, WaitTakingTraffic):
            waits.append(progress.sentence)
            local_cloud.publish_requests(red.name, red.instances[min(len(waits), 4) - 1].instance_id, 3.0)

    goal = replace(goal_of(two, "push-2"), needs_traffic=True)
    assert isinstance(push(local_cloud, goal, serve).end, Done)
    idle = [wait.count("no request seen") for wait in waits]
    assert idle == sorted(idle, reverse=True) and (idle[0], idle[-1]) == (4, 1)


def test_a_push_through_throttling_and_lost_replies_ends_the_same(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = image(local_cloud, "redstart-base-1"), image(local_cloud, "redstart-base-2")
    push(local_cloud, goal_of(one, "push-1"))
    fleet = fleet_of(local_cloud, retrying_clients(local_cloud, monkeypatch))
    local_cloud.faults.add([{"code": "Throttling", "probability": 0.2}, {"lost_reply": True, "probability": 0.05}])
    assert isinstance(finish(local_cloud, drive_push(fleet, goal_of(two, "push-2"), now_of(local_cloud))).end, Done)
    assert all(fault["fired"] for fault in local_cloud.faults.listed())
    local_cloud.faults.clear()
    view = fleet_of(local_cloud).view_cluster(CLUSTER)
    assert {group.name: (group.weight, len(group.instances)) for group in view.groups} == {
        "api-main-v000": (0, 3),
        "api-main-v001": (100, 4),
    }
    assert view.groups[1].suspended == frozenset() and view.groups[1].capacity.minimum == 3


def test_address_is_one_that_this_machine_reaches(local_cloud: LocalCloud) -> None:
    where = urlsplit(fleet_of(local_cloud).address())
    assert where.scheme == "http" and where.port
    with socket.create_server((str(where.hostname), 0)) as server:
        assert server.getsockname()[0].startswith("127."), "no name has to be looked up"
