"""Stories of a push on a fleet in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from include.errors import RetryableError
from include.fleet import Capacity, ClusterRef
from include.fleet.tags import FAILED, PINNED, RUN
from include.redblack import Build, Done, Failed, GroupTemplate, Need, Progress, PushGoal, SizeBounds, drive_push
from include.redblack.roles import BLACK_SUSPENDED, PUSH_SUSPENDED
from include.redblack.steps import GrowRed, Step, WaitHealthy, WaitTakingTraffic
from tests.support.fake_fleet import FakeFleet, Killed

CLUSTER = ClusterRef("api", "main", "us-east-1")
TEMPLATE = GroupTemplate("m5.large", 8080, "/health")
DEEDS_BACK = ("MarkFailed", "EnableBlack", "DisableRed", "GrowBlack")


def goal_of(image_id: str = "ami-new", run: str = "push-1", **changes: object) -> PushGoal:
    goal = PushGoal(CLUSTER, Build(image_id, "1.2.0", "abc"), run, TEMPLATE, SizeBounds(2, 40), Need(10.0))
    return replace(goal, **changes)  # type: ignore[arg-type]


def fleet_with_previous(size: int = 10) -> FakeFleet:
    fleet = FakeFleet()
    fleet.seed(CLUSTER, "api-main-v041", "ami-old", size)
    return fleet


def run_push(
    fleet: FakeFleet, goal: PushGoal, each: Callable[[Progress], None] = lambda progress: None, turns: int = 600
) -> tuple[Done | Failed, list[Step]]:
    """To the end, with the clock moved by what the driver asks for."""
    steps: list[Step] = []
    for progress in drive_push(fleet, goal, fleet.clock):
        if progress.step is not None:
            steps.append(progress.step)
        if progress.end is not None:
            return progress.end, steps
        each(progress)
        fleet.advance(progress.pause_seconds)
        assert len(steps) < turns, steps[-5:]
    raise AssertionError("the driver stopped without an end")


def kinds(steps: list[Step]) -> list[str]:
    names = [type(step).__name__ for step in steps]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


def test_a_push_replaces_the_previous_group_and_keeps_it_black() -> None:
    fleet = fleet_with_previous()

    end, steps = run_push(fleet, goal_of())

    assert isinstance(end, Done)
    assert kinds(steps) == [
        "CreateRed", "AttachRed", "WaitHealthy", "ShareTraffic", "WaitTakingTraffic", "DisablePrevious",
        "TagGroup", "SuspendBlack", "Unpin", "ResumeProcesses", "TagGroup", "Done",
    ]  # fmt: skip
    assert fleet.listener == {"api-main-v042": 100, "api-main-v041": 0}
    red, black = fleet.records["api-main-v042"], fleet.records["api-main-v041"]
    assert (red.capacity, red.suspended, red.tags[PINNED]) == (Capacity(2, 11, 40), set(), "")
    assert black.suspended == BLACK_SUSPENDED
    assert len(black.members) == 10


def test_red_is_launched_pinned_with_interfering_processes_suspended() -> None:
    fleet = fleet_with_previous()
    seen = []
    run_push(fleet, goal_of(), lambda progress: seen.append(dict(fleet.records)))
    red = fleet.records["api-main-v042"].spec
    assert red.capacity == Capacity(11, 11, 40)
    assert red.suspended == PUSH_SUSPENDED
    assert red.tags[RUN] == "push-1"


def test_red_red_gives_every_instance_the_same_load() -> None:
    fleet = fleet_with_previous()
    shared: list[dict[str, int]] = []

    def note(progress: Progress) -> None:
        if isinstance(progress.step, WaitTakingTraffic):
            shared.append(dict(fleet.listener))

    run_push(fleet, goal_of(), note)
    assert shared[0]["api-main-v042"] / shared[0]["api-main-v041"] == pytest.approx(1.1, abs=0.005)


def test_waiting_says_which_instance_is_missing_and_why() -> None:
    fleet = fleet_with_previous(3)
    _, steps = run_push(fleet, goal_of())
    waits = [step for step in steps if isinstance(step, WaitHealthy)]
    assert "is Pending" in waits[0].sentence
    assert "is initial (Elb.RegistrationInProgress)" in waits[-1].sentence


def test_an_image_that_already_serves_alone_is_done_without_a_call() -> None:
    fleet = fleet_with_previous()
    end, _ = run_push(fleet, goal_of("ami-old"))
    assert isinstance(end, Done) and "already" in end.summary and fleet.calls == []


def test_a_push_into_an_empty_cluster_launches_the_minimum() -> None:
    fleet = FakeFleet()
    end, _ = run_push(fleet, goal_of())
    assert isinstance(end, Done)
    assert fleet.listener == {"api-main-v000": 100}
    assert len(fleet.records["api-main-v000"].members) == 2


def test_an_image_that_never_gets_healthy_is_rolled_back_and_deleted() -> None:
    fleet = fleet_with_previous()
    fleet.broken_images.add("ami-new")

    end, steps = run_push(fleet, goal_of())

    assert isinstance(end, Failed) and "not healthy" in end.reason
    assert kinds(steps)[-2:] == ["MarkFailed", "Failed"]
    fleet.advance(10)
    assert set(fleet.records) == {"api-main-v041"}
    assert fleet.listener.get("api-main-v041") == 100
    assert fleet.records["api-main-v041"].suspended == set()


def test_rollback_during_red_red_keeps_previous_serving() -> None:
    fleet = fleet_with_previous()
    fleet.check = lambda world: None

    def break_red(progress: Progress) -> None:
        if isinstance(progress.step, WaitTakingTraffic):
            fleet.broken_images.add("ami-new")
            fleet.check = lambda world: assert_serving(world, 10)

    end, steps = run_push(fleet, goal_of(), break_red)

    assert isinstance(end, Failed)
    assert [kind for kind in kinds(steps) if kind in DEEDS_BACK] == ["MarkFailed", "DisableRed"]
    assert fleet.listener == {"api-main-v041": 100}


def test_red_that_dies_while_sharing_traffic_is_not_waited_for() -> None:
    fleet = fleet_with_previous()
    broken_at = []

    def break_red(progress: Progress) -> None:
        if isinstance(progress.step, WaitTakingTraffic) and not broken_at:
            broken_at.append(fleet.now)
            fleet.broken_images.add("ami-new")

    end, _ = run_push(fleet, goal_of(), break_red)
    assert isinstance(end, Failed)
    assert (fleet.now - broken_at[0]).total_seconds() <= 15


def test_previous_stays_in_traffic_until_every_red_instance_is_back() -> None:
    fleet = fleet_with_previous()
    fleet.records["api-main-v041"].suspended.add("Launch")
    killed = []

    def kill_three(progress: Progress) -> None:
        if isinstance(progress.step, WaitTakingTraffic) and not killed:
            killed.append(True)
            for index in range(3):
                fleet.kill_instance("api-main-v042", index)
            fleet.check = lambda world: assert_serving(world, 11 if world.listener["api-main-v041"] == 0 else 10)

    end, _ = run_push(fleet, goal_of(), kill_three)
    assert isinstance(end, Done)


def test_red_that_dies_right_after_the_switch_is_rolled_back_to_a_working_previous() -> None:
    fleet = fleet_with_previous()

    def break_red(progress: Progress) -> None:
        if type(progress.step).__name__ == "SuspendBlack":
            fleet.broken_images.add("ami-new")

    end, steps = run_push(fleet, goal_of(), break_red)

    assert isinstance(end, Failed)
    assert "EnableBlack" in kinds(steps) and "ResumeProcesses" in kinds(steps)
    assert fleet.listener == {"api-main-v041": 100}
    assert fleet.records["api-main-v041"].suspended == set()


def test_healthy_but_without_a_request_is_not_taking_traffic() -> None:
    fleet = fleet_with_previous()
    fleet.silent_images.add("ami-new")
    end, _ = run_push(fleet, goal_of())
    assert isinstance(end, Failed) and "not taking traffic" in end.reason
    assert fleet.listener == {"api-main-v041": 100}


def test_a_killed_instance_is_waited_for_and_not_a_reason_to_roll_back() -> None:
    fleet = fleet_with_previous()
    killed = []

    def kill_one(progress: Progress) -> None:
        if isinstance(progress.step, WaitTakingTraffic) and not killed:
            killed.append(True)
            fleet.kill_instance("api-main-v042")

    end, _ = run_push(fleet, goal_of(), kill_one)
    assert isinstance(end, Done)


def test_red_grows_when_previous_grew_while_it_was_launched() -> None:
    fleet = fleet_with_previous(10)
    grown = []

    def grow(progress: Progress) -> None:
        if isinstance(progress.step, WaitHealthy) and not grown:
            grown.append(True)
            fleet.records["api-main-v041"].capacity = Capacity(1, 20, 99)

    end, steps = run_push(fleet, goal_of(), grow)
    assert isinstance(end, Done)
    assert any(isinstance(step, GrowRed) for step in steps)
    assert fleet.records["api-main-v042"].capacity == Capacity(2, 22, 40)


def test_a_minimum_that_a_person_changed_meanwhile_stays() -> None:
    fleet = fleet_with_previous()

    def change(progress: Progress) -> None:
        if type(progress.step).__name__ == "DisablePrevious":
            fleet.records["api-main-v042"].capacity = Capacity(7, 11, 40)

    run_push(fleet, goal_of(), change)
    assert fleet.records["api-main-v042"].capacity.minimum == 7


@pytest.mark.parametrize("is_broken", [False, True])
def test_traffic_that_a_person_moved_to_another_group_meanwhile_stays_there(is_broken: bool) -> None:
    fleet = fleet_with_previous()
    moved = []

    def move(progress: Progress) -> None:
        if isinstance(progress.step, WaitHealthy) and not moved:
            moved.append(True)
            fleet.seed(CLUSTER, "api-main-v050", "ami-theirs", 5, weight=100)
            fleet.listener = {"api-main-v050": 100, "api-main-v042": 0}
            if is_broken:
                fleet.broken_images.add("ami-new")

    end, _ = run_push(fleet, goal_of(), move)
    assert isinstance(end, Failed if is_broken else Done)
    assert fleet.listener["api-main-v050"] > 0
    assert not [call for call in fleet.calls if "v050" in call]


def test_a_first_push_whose_instances_die_waits_and_is_not_called_done() -> None:
    fleet = FakeFleet()
    fleet.seed(CLUSTER, "api-main-canary-v000", "ami-x", 1, weight=0)
    broken = []

    def break_once(progress: Progress) -> None:
        if type(progress.step).__name__ == "ShareTraffic":
            broken.append(fleet.now)
            fleet.broken_images.add("ami-new")
        elif broken and (fleet.now - broken[0]).total_seconds() > 30:
            fleet.broken_images.clear()

    end, steps = run_push(fleet, goal_of(), break_once)
    assert isinstance(end, Done)
    assert "no earlier group is" in next(s.sentence for s in reversed(steps) if isinstance(s, WaitHealthy))


def test_more_live_instances_than_a_group_may_have_is_refused_before_anything_is_made() -> None:
    fleet = fleet_with_previous(41)
    end, _ = run_push(fleet, goal_of())
    assert isinstance(end, Failed) and fleet.calls == []


def test_the_push_after_next_retires_the_oldest_black_group() -> None:
    fleet = fleet_with_previous()
    run_push(fleet, goal_of("ami-2", "push-2"))
    fleet.advance(60)
    run_push(fleet, goal_of("ami-3", "push-3"))
    fleet.advance(10)
    assert set(fleet.records) == {"api-main-v042", "api-main-v043"}
    assert fleet.listener == {"api-main-v043": 100, "api-main-v042": 0}


def test_groups_of_others_keep_their_traffic_and_are_never_touched() -> None:
    fleet = fleet_with_previous()
    fleet.seed(CLUSTER, "api-main-canary-v042", "ami-x", 1, weight=10)
    fleet.records["api-main-canary-v042"].tags["redstart:role"] = "canary"
    end, _ = run_push(fleet, goal_of())
    assert isinstance(end, Done)
    total = sum(fleet.listener.values())
    assert fleet.listener["api-main-canary-v042"] / total == pytest.approx(10 / 110, abs=0.001)
    assert not [call for call in fleet.calls if "canary" in call]


def test_the_number_after_999_is_the_next_free_one_and_age_decides_what_is_newest() -> None:
    fleet = FakeFleet()
    fleet.seed(CLUSTER, "api-main-v000", "ami-ancient", 1, weight=0)
    fleet.advance(10)
    fleet.seed(CLUSTER, "api-main-v999", "ami-old", 3)
    end, _ = run_push(fleet, goal_of())
    assert isinstance(end, Done) and end.group == "api-main-v001"
    fleet.advance(10)
    end, _ = run_push(fleet, goal_of("ami-3", "push-3"))
    assert isinstance(end, Done) and end.group == "api-main-v002"


def test_a_done_push_looked_at_again_changes_nothing() -> None:
    fleet = fleet_with_previous()
    run_push(fleet, goal_of())
    before = list(fleet.calls)
    end, _ = run_push(fleet, goal_of())
    assert isinstance(end, Done) and fleet.calls == before


def assert_serving(world: FakeFleet, need: int) -> None:
    assert world.healthy_serving() >= need, (world.listener, world.healthy_serving())


def end_state(fleet: FakeFleet) -> object:
    fleet.advance(10)  # what is being deleted is gone
    return (
        dict(fleet.listener),
        {
            name: (one.capacity, frozenset(one.suspended), one.spec.image_id, len(one.members), one.tags.get(FAILED))
            for name, one in fleet.records.items()
        },
    )


def run_until_done(fleet: FakeFleet, goal: PushGoal) -> Done | Failed:
    for _ in range(4):
        try:
            return run_push(fleet, goal)[0]
        except Killed:
            fleet.hook = lambda call, moment: None
    raise AssertionError("killed more than once")


def kill_at(fleet: FakeFleet, point: int) -> None:
    counter = iter(range(10_000))

    def hook(call: str, moment: str) -> None:
        if next(counter) == point:
            raise Killed(f"{moment} {call}")

    fleet.hook = hook


def test_a_push_killed_before_or_after_any_call_ends_the_same() -> None:
    """Every point is tried; at no moment do fewer healthy instances serve than before the push."""
    whole = fleet_with_previous()
    points = []
    whole.hook = lambda call, moment: points.append((call, moment))
    run_push(whole, goal_of())
    expected = end_state(whole)
    assert len(points) >= 20
    for point in range(len(points)):
        fleet = fleet_with_previous()
        fleet.check = lambda world: assert_serving(world, 10)
        kill_at(fleet, point)
        end = run_until_done(fleet, goal_of())
        assert isinstance(end, Done), points[point]
        assert end_state(fleet) == expected, points[point]


def test_an_engine_dropped_after_every_turn_ends_the_same() -> None:
    whole, fleet = fleet_with_previous(), fleet_with_previous()
    run_push(whole, goal_of())
    for _ in range(400):
        progress = next(iter(drive_push(fleet, goal_of(), fleet.clock)))
        fleet.advance(progress.pause_seconds)
        if progress.end:
            break
    assert isinstance(progress.end, Done)
    assert end_state(fleet) == end_state(whole)


def test_a_rollback_killed_before_or_after_any_call_ends_the_same() -> None:
    def broken() -> FakeFleet:
        fleet = fleet_with_previous()
        fleet.broken_images.add("ami-new")
        return fleet

    whole, points = broken(), []
    whole.hook = lambda call, moment: points.append((call, moment))
    run_push(whole, goal_of())
    for point in range(len(points)):
        fleet = broken()
        fleet.check = lambda world: assert_serving(world, 10)
        kill_at(fleet, point)
        assert isinstance(run_until_done(fleet, goal_of()), Failed), points[point]
        assert end_state(fleet) == end_state(whole), points[point]


def test_throttled_calls_are_tried_again() -> None:
    fleet = fleet_with_previous()
    seen: set[str] = set()

    def throttle(call: str, moment: str) -> None:
        if f"{moment} {call}" not in seen:
            seen.add(f"{moment} {call}")
            raise RetryableError(f"{call} throttled", next_delay_seconds=2)

    fleet.hook = throttle
    end, _ = run_push(fleet, goal_of())
    assert isinstance(end, Done)
    plain = fleet_with_previous()
    run_push(plain, goal_of())
    assert end_state(fleet) == end_state(plain)


def test_a_cloud_that_never_answers_ends_the_task_with_its_last_error() -> None:
    fleet = fleet_with_previous()

    def refuse() -> None:
        raise RetryableError("DescribeAutoScalingGroups in us-east-1: Throttling")

    fleet.read_hook = refuse
    with pytest.raises(RetryableError, match="DescribeAutoScalingGroups"):
        run_push(fleet, goal_of())
