"""Stories of a canary pair on a fleet in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from include.fleet import ClusterRef
from include.fleet.tags import SOAK_END
from include.redblack import (
    Build,
    CanaryGoal,
    Done,
    Failed,
    GroupTemplate,
    Need,
    Progress,
    drive_canary,
    drive_teardown,
    soak_end,
)
from tests.support.fake_fleet import FakeFleet, Killed

CLUSTER = ClusterRef("api", "main", "us-east-1")
GOAL = CanaryGoal(
    cluster=CLUSTER,
    canary=Build("ami-new", "1.2.0", "abc"),
    baseline=Build("ami-old", "1.1.0", "aaa"),
    run="canary-1",
    template=GroupTemplate("m5.large", 8080, "/health"),
    size=2,
    share_pct=15.0,
    soak_seconds=240,
    need=Need(10.0),
)
CANARY, BASELINE = "api-main-canary-v042", "api-main-baseline-v042"


def fleet_with_main(weight: int = 100) -> FakeFleet:
    fleet = FakeFleet()
    fleet.seed(CLUSTER, "api-main-v041", "ami-old", 6, weight=weight)
    return fleet


def drive(fleet: FakeFleet, turns: Iterator[Progress]) -> tuple[Done | Failed, list[str]]:
    said: list[str] = []
    for progress in turns:
        said.append(type(progress.step).__name__)
        if progress.end is not None:
            return progress.end, said
        fleet.advance(progress.pause_seconds)
        assert len(said) < 600, said[-5:]
    raise AssertionError("no end")


def launch(fleet: FakeFleet, goal: CanaryGoal = GOAL) -> tuple[Done | Failed, list[str]]:
    return drive(fleet, drive_canary(fleet, goal, fleet.clock))


def shares(fleet: FakeFleet) -> dict[str, float]:
    whole = sum(fleet.listener.values())
    return {name: weight / whole for name, weight in fleet.listener.items()}


def test_canary_and_baseline_take_their_share_each() -> None:
    fleet = fleet_with_main()
    end, said = launch(fleet)
    assert isinstance(end, Done)
    assert shares(fleet) == pytest.approx({"api-main-v041": 0.7, CANARY: 0.15, BASELINE: 0.15}, abs=0.005)
    assert fleet.records[CANARY].spec.image_id == "ami-new"
    assert fleet.records[BASELINE].spec.image_id == "ami-old"
    assert fleet.records[CANARY].spec.capacity == fleet.records[BASELINE].spec.capacity
    assert said.index("WaitHealthy") < said.index("ShareTraffic") < said.index("MarkSoakEnd")


def test_the_soak_ends_at_a_moment_that_no_retry_moves() -> None:
    fleet = fleet_with_main()
    launch(fleet)
    written = fleet.records[CANARY].tags[SOAK_END]
    end = datetime.fromisoformat(written)
    assert timedelta(seconds=230) < end - fleet.now <= timedelta(seconds=240)
    calls = list(fleet.calls)
    fleet.advance(100)
    launch(fleet)
    assert fleet.records[CANARY].tags[SOAK_END] == written
    assert fleet.calls == calls
    assert soak_end(fleet.view_cluster(CLUSTER), GOAL) == end


def test_shares_follow_the_main_groups_ratio_with_tiny_shares_too() -> None:
    fleet = fleet_with_main(3)
    fleet.seed(CLUSTER, "api-main-v040", "ami-older", 3, weight=1)
    launch(fleet, replace(GOAL, share_pct=1.0))
    number = next(name for name in fleet.listener if "canary" in name)[-3:]
    found = shares(fleet)
    assert found[f"api-main-canary-v{number}"] == pytest.approx(0.01, abs=0.005)
    assert found["api-main-v041"] / found["api-main-v040"] == pytest.approx(3, rel=0.02)


def test_a_canary_of_another_run_is_replaced() -> None:
    fleet = fleet_with_main()
    launch(fleet)
    end, _ = launch(fleet, replace(GOAL, run="canary-2", canary=Build("ami-newer")))
    fleet.advance(10)
    assert isinstance(end, Done)
    pair = {name: record.spec.image_id for name, record in fleet.records.items() if "v041" not in name}
    assert sorted(pair.values()) == ["ami-newer", "ami-old"]
    assert len({name[-3:] for name in pair}) == 1
    assert CANARY not in fleet.records


def test_a_canary_of_the_same_run_but_another_image_is_replaced() -> None:
    fleet = fleet_with_main()
    launch(fleet)
    end, _ = launch(fleet, replace(GOAL, canary=Build("ami-newer")))
    fleet.advance(10)
    assert isinstance(end, Done)
    assert "ami-new" not in {record.spec.image_id for record in fleet.records.values()}


def test_a_canary_that_never_gets_healthy_fails_without_any_traffic() -> None:
    fleet = fleet_with_main()
    fleet.broken_images.add("ami-new")
    end, said = launch(fleet)
    assert isinstance(end, Failed) and "unhealthy" in end.reason
    assert "ShareTraffic" not in said


@pytest.mark.parametrize("turns", [1, 2, 3, 6, 40])
def test_teardown_takes_it_all_down_however_far_the_launch_came(turns: int) -> None:
    fleet = fleet_with_main()
    for _, progress in zip(range(turns), drive_canary(fleet, GOAL, fleet.clock), strict=False):
        fleet.advance(progress.pause_seconds)
    end, said = drive(fleet, drive_teardown(fleet, GOAL, fleet.clock))
    fleet.advance(10)
    assert isinstance(end, Done)
    assert set(fleet.records) == {"api-main-v041"}
    assert fleet.listener == {"api-main-v041": 100}
    assert "RestoreMain" not in said or said.index("RestoreMain") < said.index("DeleteGroup")


def test_teardown_leaves_a_canary_of_another_run_alone() -> None:
    fleet = fleet_with_main()
    launch(fleet)
    end, _ = drive(fleet, drive_teardown(fleet, replace(GOAL, run="canary-2"), fleet.clock))
    assert isinstance(end, Done) and CANARY in fleet.listener


def test_a_cluster_without_traffic_has_nothing_to_compare_with() -> None:
    fleet = fleet_with_main(0)
    fleet.listener = {}
    end, _ = launch(fleet)
    assert isinstance(end, Failed) and fleet.calls == []


def state(fleet: FakeFleet) -> object:
    fleet.advance(10)
    return fleet.listener, {name: (one.spec.image_id, len(one.members)) for name, one in fleet.records.items()}


def test_launch_and_teardown_killed_at_any_call_end_the_same() -> None:
    whole = fleet_with_main()
    points: list[tuple[str, str]] = []
    whole.hook = lambda call, moment: points.append((call, moment))
    launch(whole)
    launched, first = state(whole), len(points)
    drive(whole, drive_teardown(whole, GOAL, whole.clock))
    gone = state(whole)
    assert first >= 18 and len(points) > first
    for point in range(len(points)):
        fleet, seen = fleet_with_main(), []

        def hook(call: str, moment: str, point: int = point, seen: list[str] = seen) -> None:
            seen.append(call)
            if len(seen) == point + 1:
                raise Killed

        fleet.hook = hook
        for again in range(2):
            try:
                launch(fleet)
                assert again or point >= first
                assert state(fleet) == launched, points[point]
                break
            except Killed:
                continue
        for _ in range(2):
            try:
                drive(fleet, drive_teardown(fleet, GOAL, fleet.clock))
            except Killed:
                continue
        assert state(fleet) == gone, points[point]
