"""Watches, holds, locks, and how closely a loop looks: stories on a fleet in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from include.errors import RetryableError
from include.fleet import ClusterRef, ScalingPolicy
from include.fleet.tags import BLACK_SINCE, FENCE, PAUSED, RESUMED, ROLLED_BACK, SCALING, SIDE_BY_SIDE_UNTIL
from include.ledger import LockLostError
from include.redblack import (
    Build,
    Done,
    Failed,
    Finding,
    GroupTemplate,
    JanitorGoal,
    Milestone,
    Need,
    NoJournal,
    Progress,
    PushGoal,
    SizeBounds,
    Wait,
    Watched,
    WatchKind,
    WatchRequest,
    black_groups,
    drive_janitor,
    drive_push,
)
from include.redblack.roles import BLACK_SUSPENDED
from include.redblack.steps import WaitGuard, WaitHeld
from tests.support.fake_fleet import FakeFleet

CLUSTER = ClusterRef("api", "main", "us-east-1")
NEED = Need(10.0)
OLD, NEW = "api-main-v041", "api-main-v042"
Find = Callable[[WatchRequest], Watched]


def goal(**changes: object) -> PushGoal:
    template = GroupTemplate("m5.large", 8080, "/health")
    made = PushGoal(CLUSTER, Build("ami-new"), "push-1", template, SizeBounds(2, 40), NEED)
    return replace(made, **{"side_by_side_seconds": 30, "watch_seconds": 60, **changes})  # type: ignore[arg-type]


def fleet_with_previous(size: int = 4) -> FakeFleet:
    fleet = FakeFleet()
    fleet.rps = 30.0
    fleet.seed(CLUSTER, OLD, "ami-old", size)
    fleet.advance(60)
    return fleet


def sound(fleet: FakeFleet) -> Find:
    return lambda request: Watched(Finding.SOUND, fleet.now)


def push(
    fleet: FakeFleet,
    watch: Find,
    wanted: PushGoal | None = None,
    journal: NoJournal | None = None,
    until: Milestone = Milestone.ENDED,
    turns: int = 600,
) -> list[Progress]:
    seen: list[Progress] = []
    for progress in drive_push(fleet, wanted or goal(), fleet.clock, journal, watch, until):
        seen.append(progress)
        if progress.end is not None or len(seen) >= turns:
            break
        fleet.advance(progress.pause_seconds)
    return seen


def test_red_is_watched_beside_previous_and_then_alone() -> None:
    fleet, asked = fleet_with_previous(), []

    def watch(request: WatchRequest) -> Watched:
        asked.append((request, fleet.now, fleet.listener[OLD] > 0))
        return Watched(Finding.SOUND, fleet.now)

    end = push(fleet, watch)[-1].end

    assert isinstance(end, Done)
    beside = [one for one in asked if one[0].kind is WatchKind.SIDE_BY_SIDE]
    alone = [one for one in asked if one[0].kind is WatchKind.ALONE]
    assert all(is_shared for _, _, is_shared in beside) and not any(is_shared for _, _, is_shared in alone)
    assert beside[0][0].previous == (OLD,) and beside[0][0].red == NEW
    for found, seconds in ((beside, 30), (alone, 60)):
        request = found[0][0]
        assert request.until - request.since == timedelta(seconds=seconds)
        assert found[-1][1] >= request.until
    assert fleet.listener == {NEW: 100, OLD: 0}


@pytest.mark.parametrize("kind", list(WatchKind))
def test_what_a_watch_finds_is_gone_back_from(kind: WatchKind) -> None:
    fleet = fleet_with_previous()

    def watch(request: WatchRequest) -> Watched:
        bad = request.kind is kind
        return Watched(Finding.UNSOUND if bad else Finding.SOUND, fleet.now, "http.5xx 4 % above 0.1 %")

    end = push(fleet, watch)[-1].end

    assert isinstance(end, Failed) and "http.5xx 4 pct above 0.1 pct" in end.reason
    assert fleet.listener[OLD] == 100 and not fleet.records[OLD].suspended
    if kind is WatchKind.ALONE:
        red = fleet.records[NEW]
        assert red.tags[ROLLED_BACK] and red.tags[BLACK_SINCE] and red.suspended >= BLACK_SUSPENDED
        assert red.capacity.minimum == 2
    else:
        fleet.advance(10)
        assert NEW not in fleet.records


def test_a_watch_that_learns_nothing_for_as_long_again_is_a_failed_one() -> None:
    fleet = fleet_with_previous()
    began: list[datetime] = []

    def watch(request: WatchRequest) -> Watched:
        if request.kind is WatchKind.SIDE_BY_SIDE:
            return Watched(Finding.SOUND, fleet.now)
        began.append(request.since)
        raise RetryableError("GetMetricData: throttled")

    end = push(fleet, watch)[-1].end
    assert isinstance(end, Failed) and "nothing could be learnt" in end.reason and "throttled" in end.reason
    assert 120 <= (fleet.now - began[0]).total_seconds() <= 160


@pytest.mark.parametrize(("late", "ends"), [(50, Done), (80, Failed)])
def test_a_short_watch_waits_a_minute_for_points_that_come_late(late: int, ends: type) -> None:
    fleet = fleet_with_previous()

    def watch(request: WatchRequest) -> Watched:
        if fleet.now < request.until + timedelta(seconds=late):
            return Watched(Finding.UNKNOWN, fleet.now, "5 points so far, 6 are needed")
        return Watched(Finding.SOUND, fleet.now)

    assert isinstance(push(fleet, watch, goal(side_by_side_seconds=10, watch_seconds=10))[-1].end, ends)


def test_a_store_that_answers_again_in_that_time_is_enough() -> None:
    fleet = fleet_with_previous()

    def watch(request: WatchRequest) -> Watched:
        if fleet.now < request.until + timedelta(seconds=20):
            raise RetryableError("GetMetricData: throttled")
        return Watched(Finding.SOUND, fleet.now)

    assert isinstance(push(fleet, watch)[-1].end, Done)


def test_a_push_may_stop_where_previous_is_black_and_go_on_later() -> None:
    fleet = fleet_with_previous()
    assert isinstance(push(fleet, sound(fleet), until=Milestone.SWITCHED)[-1].end, Done)
    assert fleet.listener == {NEW: 100, OLD: 0} and fleet.records[OLD].suspended >= BLACK_SUSPENDED
    assert fleet.records[NEW].capacity.minimum == 5
    assert isinstance(push(fleet, sound(fleet))[-1].end, Done)
    assert fleet.records[NEW].capacity.minimum == 2


def test_a_long_watch_says_until_when_nobody_needs_to_look() -> None:
    fleet = fleet_with_previous()
    seen = push(fleet, sound(fleet), replace(goal(), watch_seconds=600))
    free = [progress for progress in seen if progress.until is not None]
    assert free and all(progress.view is not None for progress in free)


class Held(NoJournal):
    def __init__(self) -> None:
        self.words = "held by ana: the data centre moves"

    def hold(self) -> str:
        return self.words


def test_a_hold_stops_a_push_where_it_is_and_its_end_lets_it_go_on() -> None:
    fleet, journal = fleet_with_previous(), Held()
    seen = push(fleet, sound(fleet), journal=journal, turns=20)
    assert all(isinstance(progress.step, WaitHeld) for progress in seen)
    assert "ana" in seen[0].sentence and fleet.calls == []
    journal.words = ""
    assert isinstance(push(fleet, sound(fleet), journal=journal)[-1].end, Done)


def held_at(fleet: FakeFleet, journal: Held, has_come: Callable[[], bool]) -> list[Progress]:
    """A push that stands still in a hold which is placed once it has come somewhere."""
    journal.words, seen = "", list[Progress]()
    for progress in drive_push(fleet, goal(), fleet.clock, journal, sound(fleet)):
        seen.append(progress)
        if isinstance(progress.step, WaitHeld) or len(seen) > 200:
            return seen
        if has_come():
            journal.words = "held by ana: the data centre moves"
        fleet.advance(progress.pause_seconds)
    raise AssertionError("not held")


@pytest.mark.parametrize("hours", [1, 60])
def test_a_push_that_a_hold_kept_out_of_traffic_is_not_late_when_it_is_lifted(hours: int) -> None:
    fleet, journal = fleet_with_previous(), Held()
    assert isinstance(held_at(fleet, journal, lambda: NEW in fleet.records)[-1].step, WaitHeld)
    assert fleet.listener == {OLD: 100, NEW: 0} and fleet.records[NEW].tags[PAUSED]
    fleet.advance(hours * 3600)
    tagged = fleet.calls.count("create_or_update_tags")
    assert isinstance(push(fleet, sound(fleet), journal=journal, turns=5)[-1].step, WaitHeld)
    assert fleet.calls.count("create_or_update_tags") == tagged, "that it stands still is noted once"
    journal.words = ""
    seen = push(fleet, sound(fleet), journal=journal)
    assert isinstance(seen[-1].end, Done), seen[-1].sentence
    tags = fleet.records[NEW].tags
    assert tags[PAUSED] == "" and tags[RESUMED]


def test_a_push_that_a_hold_kept_in_red_red_is_watched_anew_before_previous_goes() -> None:
    fleet, journal = fleet_with_previous(), Held()
    held_at(fleet, journal, lambda: SIDE_BY_SIDE_UNTIL in fleet.records.get(NEW, fleet.records[OLD]).tags)
    assert fleet.listener[OLD] and fleet.listener[NEW]
    fleet.advance(8 * 3600)
    journal.words, began, asked = "", fleet.now, []

    def watch(request: WatchRequest) -> Watched:
        asked.append(request)
        return Watched(Finding.SOUND, fleet.now)

    assert isinstance(push(fleet, watch, journal=journal)[-1].end, Done)
    beside = [one for one in asked if one.kind is WatchKind.SIDE_BY_SIDE]
    assert beside and all(began - timedelta(seconds=35) <= one.since for one in beside), "of now, not of hours ago"


def test_red_alone_is_not_noted_as_paused_in_a_hold() -> None:
    fleet, journal = fleet_with_previous(), Held()
    held_at(fleet, journal, lambda: not fleet.listener[OLD])
    assert PAUSED not in fleet.records[NEW].tags


def test_a_hold_does_not_stop_the_way_back() -> None:
    fleet, journal = fleet_with_previous(), Held()
    journal.words = ""

    def watch(request: WatchRequest) -> Watched:
        if request.kind is WatchKind.ALONE:
            journal.words = "held by ana"
            return Watched(Finding.UNSOUND, fleet.now, "slow")
        return Watched(Finding.SOUND, fleet.now)

    seen = push(fleet, watch, journal=journal)
    assert isinstance(seen[-1].end, Failed | None)
    journal.words = ""
    assert isinstance(push(fleet, watch, journal=journal)[-1].end, Failed)


def test_what_was_changed_under_a_newer_lock_is_left_alone() -> None:
    fleet = fleet_with_previous()
    fleet.records[OLD].tags[FENCE] = "8"
    with pytest.raises(LockLostError, match="newer lock"):
        push(fleet, sound(fleet), goal(token=7))
    assert fleet.calls == []
    assert isinstance(push(fleet, sound(fleet), goal(token=9))[-1].end, Done)
    assert fleet.records[NEW].tags[FENCE] == "9"


def test_red_gets_its_scaling_policy_once_it_is_attached() -> None:
    fleet, policy = fleet_with_previous(), ScalingPolicy(8.0, 90.0)
    push(fleet, sound(fleet), goal(scaling=policy))
    assert fleet.policies == {NEW: policy} and fleet.records[NEW].tags[SCALING] == policy.words
    calls = [call for call in fleet.calls if "policy" in call]
    assert len(calls) == 1
    assert fleet.calls.index(calls[0]) > fleet.calls.index("modify_listener")


def test_a_poll_costs_three_reads_at_most() -> None:
    fleet = fleet_with_previous()
    fleet.count_requests = counted(fleet)  # type: ignore[method-assign]
    polls: list[int] = []
    waited = False
    for progress in drive_push(fleet, goal(), fleet.clock, None, sound(fleet)):
        if progress.end is not None:
            break
        if waited and isinstance(progress.step, Wait):
            polls += fleet.looks[:1]
        waited = isinstance(progress.step, Wait)
        fleet.looks.clear()
        fleet.advance(progress.pause_seconds)
    assert len(polls) > 10 and max(polls) <= 3


def counted(fleet: FakeFleet) -> Callable[..., dict[str, float]]:
    inner = fleet.count_requests

    def count(group: str, *, seconds: int) -> dict[str, float]:
        fleet.looks[-1] += 1
        return inner(group, seconds=seconds)

    return count


def test_the_guard_holds_a_change_back_until_there_is_capacity() -> None:
    fleet = fleet_with_previous()
    fleet.rps = 52.0

    seen = []
    small = goal(size=SizeBounds(2, 5))  # red may not grow to what the traffic asks for
    for progress in drive_push(fleet, small, fleet.clock, None, sound(fleet)):
        seen.append(progress)
        if isinstance(progress.step, WaitGuard):
            fleet.rps = 30.0
        if progress.end is not None:
            break
        fleet.advance(progress.pause_seconds)
    assert any(isinstance(progress.step, WaitGuard) and "52 requests/s" in progress.sentence for progress in seen)
    assert isinstance(seen[-1].end, Done)


def sweep(fleet: FakeFleet, **changes: object) -> str:
    wanted = replace(JanitorGoal(CLUSTER, 4 * 3600, 1, NEED), **changes)  # type: ignore[arg-type]
    for progress in drive_janitor(fleet, wanted, fleet.clock):
        fleet.advance(max(progress.pause_seconds, 6))
        if progress.end is not None:
            return progress.sentence
    raise AssertionError("no end")


def test_the_janitor_deletes_black_after_its_time_and_says_what_it_costs() -> None:
    fleet = fleet_with_previous()
    push(fleet, sound(fleet))
    assert "nothing" in sweep(fleet) and OLD in fleet.records
    found = black_groups(fleet.view_cluster(CLUSTER), 4 * 3600, fleet.now)[0]
    assert found.name == OLD and found.instances == 4
    assert found.instance_hours + found.instance_hours_left == pytest.approx(16, abs=0.1)
    fleet.advance(4 * 3600)
    sweep(fleet)
    assert set(fleet.records) == {NEW}


def test_the_janitor_keeps_what_may_be_needed() -> None:
    fleet = fleet_with_previous()
    push(fleet, sound(fleet))
    fleet.advance(4 * 3600)
    fleet.records[NEW].suspended.add("Terminate")
    fleet.kill_instance(NEW)
    fleet.advance(2)
    assert "kept" in sweep(fleet) and OLD in fleet.records


def test_the_janitor_takes_those_beyond_the_number_to_keep_and_what_was_left_half_made() -> None:
    fleet = fleet_with_previous()
    push(fleet, sound(fleet))
    fleet.advance(60)
    push(fleet, sound(fleet), replace(goal(), build=Build("ami-3"), run="push-2", keep_black=3))
    assert OLD in fleet.records
    sweep(fleet)
    assert set(fleet.records) == {NEW, "api-main-v043"}
