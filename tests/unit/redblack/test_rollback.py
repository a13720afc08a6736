"""Stories of going back by hand, at every state a cluster can be in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from include.errors import RefusedError
from include.fleet import Capacity, ClusterRef
from include.fleet.tags import BLACK_SINCE, FAILED, PINNED, ROLLED_BACK
from include.redblack import (
    Build,
    Done,
    Failed,
    GroupTemplate,
    Need,
    Progress,
    PushGoal,
    RollbackGoal,
    SizeBounds,
    Step,
    drive_push,
    drive_rollback,
)
from include.redblack.roles import BLACK_SUSPENDED
from include.redblack.steps import DisableRed, EnableBlack, GrowBlack, WaitTakingTraffic
from tests.support.fake_fleet import FakeFleet, Killed

CLUSTER = ClusterRef("api", "main", "us-east-1")
NEED = Need(rps_per_instance=10.0, target_rps=8.0, start_seconds=60.0)
SIZE = SizeBounds(2, 40)
OLD, NEW = "api-main-v041", "api-main-v042"


def push_goal(image_id: str = "ami-new", run: str = "push-1") -> PushGoal:
    return PushGoal(CLUSTER, Build(image_id), run, GroupTemplate("m5.large", 8080, "/health"), SIZE, NEED)


def rollback_goal(run: str = "rollback-1", **changes: object) -> RollbackGoal:
    goal = RollbackGoal(CLUSTER, run, "checkout fails", SIZE, NEED)
    return replace(goal, **changes)  # type: ignore[arg-type]


def run(
    fleet: FakeFleet, turns: Callable[[], object], each: Callable[[Progress], None] = lambda progress: None
) -> tuple[Done | Failed, list[Step]]:
    steps: list[Step] = []
    for progress in turns():  # type: ignore[attr-defined]
        if progress.step is not None:
            steps.append(progress.step)
        if progress.end is not None:
            return progress.end, steps
        each(progress)
        fleet.advance(progress.pause_seconds)
        assert len(steps) < 600, steps[-3:]
    raise AssertionError("no end")


def push(fleet: FakeFleet, goal: PushGoal | None = None) -> Done | Failed:
    return run(fleet, lambda: drive_push(fleet, goal or push_goal(), fleet.clock))[0]


def roll_back(
    fleet: FakeFleet, goal: RollbackGoal | None = None, each: Callable[[Progress], None] = lambda progress: None
) -> tuple[Done | Failed, list[Step]]:
    return run(fleet, lambda: drive_rollback(fleet, goal or rollback_goal(), fleet.clock), each)


def pushed(size: int = 4, rps: float | None = 30.0) -> FakeFleet:
    """NEW serves with `size` + 10 %, OLD is black with `size` instances."""
    fleet = FakeFleet()
    fleet.rps = rps
    fleet.seed(CLUSTER, OLD, "ami-old", size)
    fleet.advance(60)
    assert isinstance(push(fleet), Done)
    fleet.advance(600)
    return fleet


def deeds(steps: list[Step], *kinds: type) -> list[Step]:
    return [step for step in steps if isinstance(step, kinds)]


def test_a_warm_black_group_takes_all_traffic_in_one_change() -> None:
    fleet = pushed()
    began = fleet.now
    switched = []

    def note(progress: Progress) -> None:
        if isinstance(progress.step, EnableBlack):
            switched.append((fleet.now - began).total_seconds())

    end, steps = roll_back(fleet, each=note)

    assert isinstance(end, Done) and end.group == OLD
    assert fleet.listener == {OLD: 100, NEW: 0}
    assert len(deeds(steps, EnableBlack, DisableRed)) == 1
    assert switched[0] <= 3  # the clock of this world moves on by a second with every deed


def test_what_is_rolled_back_is_kept_still_and_marked_and_what_serves_is_let_go_of() -> None:
    fleet = pushed()
    roll_back(fleet)
    bad, good = fleet.records[NEW], fleet.records[OLD]
    assert bad.suspended >= BLACK_SUSPENDED and bad.tags[BLACK_SINCE]
    assert bad.tags[ROLLED_BACK] == bad.tags[FAILED] == "checkout fails"
    assert not good.suspended and not good.tags[BLACK_SINCE] and not good.tags.get(PINNED)
    assert good.capacity.minimum <= 2


@pytest.mark.parametrize("is_severe", [True, False])
def test_hours_later_at_another_traffic_level_black_is_sized_before_it_takes_all(is_severe: bool) -> None:
    fleet = pushed(size=4, rps=30.0)
    fleet.records[NEW].capacity = Capacity(2, 12, 40)  # the autoscaler followed the traffic
    fleet.advance(60)
    fleet.rps, fleet.growth_rps_per_second = 100.0, 0.1
    before = []

    def check(progress: Progress) -> None:
        weights = fleet.listener
        healthy = fleet.healthy_serving()
        before.append((weights[OLD], healthy))
        assert healthy * 10.0 >= 100.0, (weights, healthy)

    end, steps = roll_back(fleet, rollback_goal(is_severe=is_severe), check)

    assert isinstance(end, Done)
    grown = deeds(steps, GrowBlack)[0]
    assert isinstance(grown, GrowBlack) and grown.capacity.desired == 14  # (100 + 60 s of growth) / 8 each
    first = next(index for index, step in enumerate(steps) if isinstance(step, EnableBlack))
    is_grown_first = any(isinstance(step, WaitTakingTraffic) for step in steps[:first]) or not is_severe
    assert is_grown_first is not is_severe
    assert fleet.listener[NEW] == 0
    assert fleet.records[OLD].capacity.minimum == 2 and not fleet.records[OLD].suspended


def test_severe_gives_black_what_it_can_carry_at_once_and_the_rest_as_it_grows() -> None:
    fleet = pushed(size=4, rps=30.0)
    fleet.records[NEW].capacity = Capacity(2, 12, 40)
    fleet.advance(60)
    fleet.rps = 100.0
    shares = []

    def note(progress: Progress) -> None:
        total = sum(fleet.listener.values())
        shares.append(fleet.listener[OLD] / total)

    roll_back(fleet, each=note)
    given = [share for share in shares if share > 0]
    assert given[0] == pytest.approx(0.4, abs=0.02)
    assert given[-1] == 1.0


def test_where_the_traffic_is_not_known_black_gets_as_big_as_what_serves() -> None:
    fleet = pushed(size=4, rps=None)
    fleet.records[NEW].capacity = Capacity(2, 12, 40)
    fleet.advance(60)
    end, steps = roll_back(fleet)
    assert isinstance(end, Done)
    assert any(isinstance(step, GrowBlack) and step.capacity.desired == 12 for step in steps)


def test_a_red_group_that_is_dead_is_left_at_once_whatever_black_can_carry() -> None:
    fleet = pushed(size=4, rps=30.0)
    fleet.rps = 100.0
    fleet.broken_images.add("ami-new")
    fleet.advance(5)
    _, steps = roll_back(fleet)
    first = deeds(steps, EnableBlack)[0]
    assert isinstance(first, EnableBlack) and first.weights == {OLD: 100, NEW: 0}


def test_the_way_forward_again_is_a_rollback_to_the_newer_group() -> None:
    fleet = pushed()
    roll_back(fleet)
    fleet.advance(60)
    end, _ = roll_back(fleet, rollback_goal("rollback-2", to=NEW, reason="it was the load test"))
    assert isinstance(end, Done) and end.group == NEW
    assert fleet.listener == {NEW: 100, OLD: 0}
    assert not fleet.records[NEW].tags[ROLLED_BACK] and not fleet.records[NEW].tags[FAILED]
    assert not fleet.records[OLD].tags.get(ROLLED_BACK)
    fleet.advance(60)
    end, _ = roll_back(fleet, rollback_goal("rollback-3"))
    assert isinstance(end, Done) and end.group == OLD


def test_a_group_that_was_rolled_back_is_nothing_to_go_back_to() -> None:
    fleet = pushed()
    roll_back(fleet)
    fleet.advance(60)
    with pytest.raises(RefusedError, match="No group of api-main in us-east-1 is left to go back to"):
        roll_back(fleet, rollback_goal("rollback-2"))


def test_a_name_that_is_not_there_is_refused_with_those_that_are() -> None:
    fleet = pushed()
    with pytest.raises(RefusedError, match="api-main-v042, api-main-v041"):
        roll_back(fleet, rollback_goal(to="api-main-v007"))


def test_a_push_that_is_on_its_way_is_ended_by_a_rollback() -> None:
    fleet = FakeFleet(boot_seconds=30)
    fleet.rps = 30.0
    fleet.seed(CLUSTER, OLD, "ami-old", 4)
    for progress, _ in zip(drive_push(fleet, push_goal(), fleet.clock), range(4), strict=False):
        fleet.advance(progress.pause_seconds)
    assert fleet.listener[NEW] == 0
    end, _ = roll_back(fleet)
    assert isinstance(end, Done)
    fleet.advance(10)
    assert set(fleet.records) == {OLD} and fleet.listener == {OLD: 100}


def test_in_red_red_the_rollback_goes_to_the_group_beside() -> None:
    fleet = FakeFleet()
    fleet.rps = 30.0
    fleet.seed(CLUSTER, OLD, "ami-old", 4)
    for progress in drive_push(fleet, push_goal(), fleet.clock):
        fleet.advance(progress.pause_seconds)
        if isinstance(progress.step, WaitTakingTraffic):
            break
    end, _ = roll_back(fleet)
    assert isinstance(end, Done) and end.group == OLD
    fleet.advance(10)
    assert fleet.listener == {OLD: 100} and set(fleet.records) == {OLD}


def test_a_rollback_looked_at_again_changes_nothing() -> None:
    fleet = pushed()
    roll_back(fleet)
    before = list(fleet.calls)
    end, _ = roll_back(fleet)
    assert isinstance(end, Done) and fleet.calls == before


def state(fleet: FakeFleet) -> object:
    fleet.advance(10)
    return dict(fleet.listener), {
        name: (one.capacity, frozenset(one.suspended), len(one.members), one.tags.get(PINNED), one.tags.get(FAILED))
        for name, one in fleet.records.items()
    }


@pytest.mark.parametrize("is_severe", [True, False])
def test_a_rollback_killed_before_or_after_any_call_ends_the_same(is_severe: bool) -> None:
    def late() -> FakeFleet:
        fleet = pushed(size=4, rps=30.0)
        fleet.records[NEW].capacity = Capacity(2, 12, 40)
        fleet.advance(60)
        fleet.rps = 100.0
        return fleet

    goal = rollback_goal(is_severe=is_severe)
    whole, points = late(), []
    whole.hook = lambda call, moment: points.append((call, moment))
    roll_back(whole, goal)
    expected = state(whole)
    assert len(points) >= 16
    for point in range(len(points)):
        fleet = late()
        counter = iter(range(10_000))

        def hook(call: str, moment: str, counter: object = counter, point: int = point) -> None:
            if next(counter) == point:  # type: ignore[call-overload]
                raise Killed

        fleet.hook = hook
        with pytest.raises(Killed):
            roll_back(fleet, goal)
        fleet.hook = lambda call, moment: None
        assert isinstance(roll_back(fleet, goal)[0], Done), points[point]
        assert state(fleet) == expected, points[point]
