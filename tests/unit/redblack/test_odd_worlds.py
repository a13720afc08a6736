"""What people and clouds do beside the engine: groups deleted by hand, traffic moved, metrics away, left-overs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from include.errors import RedstartError, RefusedError, RetryableError
from include.fleet import Capacity, ClusterRef
from include.fleet.tags import BLACK_SINCE, CANARY, FAILED, PINNED, PREVIOUS, ROLE, RUN, SEVERE
from include.redblack import (
    Build,
    CanaryGoal,
    Done,
    Failed,
    Finding,
    GroupTemplate,
    JanitorGoal,
    Need,
    NoJournal,
    Progress,
    PushGoal,
    RollbackGoal,
    SizeBounds,
    Watched,
    WatchKind,
    WatchRequest,
    drive_canary,
    drive_janitor,
    drive_push,
    drive_rollback,
)
from include.redblack.roles import BLACK_SUSPENDED
from include.redblack.steps import AttachRed, ShareTraffic, WatchRed
from tests.support.fake_fleet import FakeFleet

CLUSTER = ClusterRef("api", "main", "us-east-1")
NEED, SIZE = Need(rps_per_instance=10.0, target_rps=8.0, start_seconds=60.0), SizeBounds(2, 40)
TEMPLATE = GroupTemplate("m5.large", 8080, "/health")
OLDER, OLD, NEW = "api-main-v040", "api-main-v041", "api-main-v042"


def push_goal(run: str = "push-1", image: str = "ami-new", **changes: object) -> PushGoal:
    return replace(PushGoal(CLUSTER, Build(image), run, TEMPLATE, SIZE, NEED), **changes)  # type: ignore[arg-type]


def rollback_goal(**changes: object) -> RollbackGoal:
    return replace(RollbackGoal(CLUSTER, "rollback-1", "checkout fails", SIZE, NEED), **changes)  # type: ignore[arg-type]


def go(
    fleet: FakeFleet, turns: Iterator[Progress], stop: Callable[[Progress], bool] = lambda progress: False
) -> list[Progress]:
    seen: list[Progress] = []
    for progress in turns:
        seen.append(progress)
        if progress.end is not None or stop(progress):
            break
        fleet.advance(progress.pause_seconds)
        assert len(seen) < 400, progress.sentence
    return seen


def serving(size: int = 4, rps: float | None = 30.0) -> FakeFleet:
    fleet = FakeFleet()
    fleet.rps = rps
    fleet.seed(CLUSTER, OLD, "ami-old", size)
    fleet.advance(60)
    return fleet


def pushed(size: int = 4, rps: float = 30.0) -> FakeFleet:
    fleet = serving(size, rps)
    assert isinstance(go(fleet, drive_push(fleet, push_goal(), fleet.clock))[-1].end, Done)
    fleet.advance(600)
    return fleet


def shared(rps: float | None = 30.0) -> FakeFleet:
    """Red/red."""
    fleet = serving(rps=rps)
    go(fleet, drive_push(fleet, push_goal(), fleet.clock), lambda progress: isinstance(progress.step, ShareTraffic))
    fleet.advance(10)
    return fleet


def unsure(fleet: FakeFleet) -> Callable[[WatchRequest], Watched]:
    return lambda request: Watched(Finding.UNKNOWN, fleet.now)


def watched_alone(fleet: FakeFleet, goal: PushGoal) -> None:
    go(fleet, drive_push(fleet, goal, fleet.clock, watch=unsure(fleet)), lambda one: isinstance(one.step, WatchRed))


def seed_black(fleet: FakeFleet, name: str = OLDER) -> None:
    fleet.seed(CLUSTER, name, "ami-older", 4, weight=0)
    fleet.records[name].tags[BLACK_SINCE] = fleet.now.isoformat()
    fleet.records[name].suspended |= BLACK_SUSPENDED


def test_red_deleted_by_hand_while_it_shares_traffic_leaves_the_listener() -> None:
    fleet = shared()
    fleet.records[NEW].deleted_at = fleet.now
    assert isinstance(go(fleet, drive_push(fleet, push_goal(), fleet.clock))[-1].end, Failed)
    assert fleet.listener.get(NEW, 0) == 0


def test_a_rollback_takes_a_group_that_is_being_deleted_out_of_traffic() -> None:
    fleet = shared()
    fleet.records[NEW].deleted_at = fleet.now
    seed_black(fleet)
    go(fleet, drive_rollback(fleet, rollback_goal(), fleet.clock))
    assert fleet.listener.get(NEW, 0) == 0


@pytest.mark.parametrize("is_anything_left", [True, False])
def test_red_whose_group_is_gone_is_no_reason_to_be_without_service(is_anything_left: bool) -> None:
    fleet, goal = serving(6, 50.0), push_goal(watch_seconds=600)
    watched_alone(fleet, goal)
    red = fleet.records[NEW]
    red.has_group, red.members, red.tags = False, [], dict(red.spec.tags)
    if not is_anything_left:
        del fleet.records[NEW], fleet.listener[NEW]
    began = fleet.now
    go(fleet, drive_push(fleet, goal, fleet.clock, watch=unsure(fleet)), lambda one: fleet.healthy_serving() > 0)
    assert fleet.listener[OLD] > 0 and (fleet.now - began).total_seconds() <= 5


@pytest.mark.parametrize("error", [RetryableError, RefusedError])
def test_a_metric_store_that_is_away_does_not_stop_the_way_back(error: type[RedstartError]) -> None:
    fleet = shared()
    fleet.records[NEW].tags |= {FAILED: "a task failed", SEVERE: "yes"}
    stop_metrics(fleet, error)
    assert isinstance(go(fleet, drive_push(fleet, push_goal(), fleet.clock))[-1].end, Failed)
    assert fleet.listener.get(NEW, 0) == 0


def test_nor_that_of_a_rollback_to_a_half_dead_group() -> None:
    fleet = pushed()
    fleet.kill_instance(OLD, 0)
    fleet.kill_instance(OLD, 1)
    fleet.advance(3)
    stop_metrics(fleet, RetryableError)
    assert isinstance(go(fleet, drive_rollback(fleet, rollback_goal(), fleet.clock))[-1].end, Done)
    good = fleet.records[OLD]
    assert fleet.listener == {OLD: 100, NEW: 0} and not good.suspended and not good.tags[BLACK_SINCE]


def test_a_push_that_cannot_count_requests_says_so_and_goes_back() -> None:
    fleet = shared()
    stop_metrics(fleet, RefusedError)
    end = go(fleet, drive_push(fleet, push_goal(launch_within_seconds=120), fleet.clock))[-1].end
    assert isinstance(end, Failed) and "cannot be counted" in end.reason


def test_a_metric_store_that_is_away_is_not_asked_at_every_look() -> None:
    fleet, asked = pushed(), []
    stop_metrics(fleet, RetryableError)
    away = fleet.read_traffic

    def read(*_: object, **__: object) -> object:
        asked.append(fleet.now)
        return away(CLUSTER, seconds=1)

    fleet.read_traffic = read  # type: ignore[assignment]
    seen = go(fleet, drive_rollback(fleet, rollback_goal(), fleet.clock))
    assert isinstance(seen[-1].end, Done)
    assert len(asked) <= 2


def stop_metrics(fleet: FakeFleet, error: type[RedstartError]) -> None:
    def away(*_: object, **__: object) -> None:
        raise error("GetMetricData: no answer")

    fleet.count_requests = away  # type: ignore[assignment]
    fleet.read_traffic = away  # type: ignore[assignment]


def test_in_a_quiet_night_nobody_waits_for_requests_to_be_seen() -> None:
    fleet = pushed(rps=0.2)
    fleet.silent_images.add("ami-old")
    assert isinstance(go(fleet, drive_rollback(fleet, rollback_goal(), fleet.clock))[-1].end, Done)


@pytest.mark.parametrize("tags", [{PINNED: "3", PREVIOUS: "api-main-v039"}, {FAILED: "x"}])
def test_what_an_older_push_left_does_not_turn_a_rollback_into_nothing(tags: dict[str, str]) -> None:
    fleet = FakeFleet()
    fleet.rps = 30.0
    fleet.seed(CLUSTER, OLDER, "ami-x", 3, weight=0)
    fleet.records[OLDER].tags |= {RUN: "push-0", **tags}
    fleet.advance(30)
    fleet.seed(CLUSTER, OLD, "ami-old", 4)
    fleet.advance(60)
    watched_alone(fleet, push_goal(watch_seconds=600))
    go(fleet, drive_rollback(fleet, rollback_goal(), fleet.clock))
    assert fleet.listener[OLD] > 0 and fleet.listener[NEW] == 0


def test_the_janitor_takes_what_a_push_left_half_way() -> None:
    fleet = serving()
    fleet.seed(CLUSTER, OLDER, "ami-x", 3, weight=0)
    fleet.records[OLDER].tags |= {RUN: "push-0", PINNED: "3"}
    go(fleet, drive_janitor(fleet, JanitorGoal(CLUSTER, 3600, 1, NEED), fleet.clock))
    fleet.advance(10)
    assert set(fleet.records) == {OLD}


def test_a_push_that_wakes_after_a_rollback_to_another_group_leaves_black_alone() -> None:
    fleet = FakeFleet()
    fleet.rps = 30.0
    seed_black(fleet)
    fleet.advance(10)
    fleet.seed(CLUSTER, OLD, "ami-old", 4)
    fleet.advance(60)
    goal = push_goal(watch_seconds=600)
    watched_alone(fleet, goal)
    assert isinstance(go(fleet, drive_rollback(fleet, rollback_goal(to=OLDER), fleet.clock))[-1].end, Done)
    fleet.rps = 80.0
    go(fleet, drive_push(fleet, goal, fleet.clock, watch=unsure(fleet)))
    black = fleet.records[OLD]
    assert black.tags[BLACK_SINCE] and black.suspended >= BLACK_SUSPENDED and black.capacity.desired == 4


def test_traffic_that_a_person_moved_back_during_the_watch_stays_there() -> None:
    fleet, goal = serving(), push_goal(watch_seconds=600)
    watched_alone(fleet, goal)
    fleet._set_listener({OLD: 100, NEW: 0})
    fleet.advance(30)
    end = go(fleet, drive_push(fleet, goal, fleet.clock, watch=unsure(fleet)))[-1].end
    assert isinstance(end, Failed) and "somebody took it out of traffic" in end.reason
    assert fleet.listener == {OLD: 100, NEW: 0} and not fleet.records[OLD].suspended


@pytest.mark.parametrize("is_severe", [True, False])
def test_a_group_at_its_maximum_that_carries_the_traffic_of_now_is_good_enough(is_severe: bool) -> None:
    fleet = pushed()
    fleet.rps, fleet.growth_rps_per_second = 55.0, 0.2
    goal = rollback_goal(size=SizeBounds(2, 6), is_severe=is_severe)
    assert isinstance(go(fleet, drive_rollback(fleet, goal, fleet.clock))[-1].end, Done)
    assert fleet.listener[NEW] == 0


def test_traffic_that_grows_while_both_are_watched_is_followed() -> None:
    fleet, goal = serving(), push_goal(side_by_side_seconds=60)
    sound = lambda request: Watched(Finding.SOUND, fleet.now)  # noqa: E731
    go(fleet, drive_push(fleet, goal, fleet.clock, watch=sound), lambda one: isinstance(one.step, WatchRed))
    fleet.rps = 55.0
    assert isinstance(go(fleet, drive_push(fleet, goal, fleet.clock, watch=sound))[-1].end, Done)
    assert fleet.records[NEW].capacity.desired == 6


def test_a_previous_group_scaled_in_in_red_red_is_gone_back_to_without_known_traffic() -> None:
    fleet = shared(rps=None)
    fleet.records[OLD].capacity = Capacity(1, 2, 40)
    fleet.advance(30)
    fleet.records[NEW].tags |= {FAILED: "a task failed", SEVERE: "yes"}
    assert isinstance(go(fleet, drive_push(fleet, push_goal(), fleet.clock))[-1].end, Failed)
    assert fleet.listener.get(NEW, 0) == 0


def test_attaching_red_moves_no_traffic_and_is_written_down() -> None:
    fleet, noted = FakeFleet(), []

    class Noting(NoJournal):
        def intend(self, step: object) -> None:
            noted.append(type(step).__name__)

    fleet.rps = 30.0
    fleet.seed(CLUSTER, OLDER, "ami-older", 4, weight=5)
    fleet.advance(5)
    fleet.seed(CLUSTER, OLD, "ami-old", 4, weight=95)
    fleet.advance(60)
    go(fleet, drive_push(fleet, push_goal(), fleet.clock, Noting()), lambda one: isinstance(one.step, AttachRed))
    assert fleet.listener == {OLDER: 5, OLD: 95, NEW: 0}
    assert "AttachRed" in noted


def test_a_group_of_others_in_the_listener_keeps_its_share() -> None:
    fleet = serving(rps=40.0)
    fleet.seed(ClusterRef("by", "hand", "us-east-1"), "by-hand", "ami-x", 4, weight=100)
    fleet.advance(30)
    assert isinstance(go(fleet, drive_push(fleet, push_goal(), fleet.clock))[-1].end, Done)
    assert fleet.listener["by-hand"] / sum(fleet.listener.values()) == pytest.approx(0.5, abs=0.01)


def test_where_only_a_canary_is_listed_the_main_group_gets_traffic() -> None:
    fleet = FakeFleet()
    fleet.rps = 30.0
    seed_black(fleet)
    fleet.seed(CLUSTER, "api-main-canary-v042", "ami-c", 1, weight=5)
    fleet.records["api-main-canary-v042"].tags[ROLE] = CANARY
    fleet.advance(30)
    go(fleet, drive_rollback(fleet, rollback_goal(), fleet.clock))
    assert fleet.listener[OLDER] > 0


def test_a_push_failed_in_its_watch_is_begun_again_beside_its_old_try() -> None:
    fleet, goal = serving(), push_goal(watch_seconds=60)
    is_bad = True

    def watch(request: WatchRequest) -> Watched:
        bad = is_bad and request.kind is WatchKind.ALONE
        return Watched(Finding.UNSOUND if bad else Finding.SOUND, fleet.now, "errors")

    assert isinstance(go(fleet, drive_push(fleet, goal, fleet.clock, watch=watch))[-1].end, Failed)
    fleet.advance(60)
    is_bad = False
    assert isinstance(go(fleet, drive_push(fleet, goal, fleet.clock, watch=watch))[-1].end, Failed)
    again = replace(goal, attempt=1)
    assert isinstance(go(fleet, drive_push(fleet, again, fleet.clock, watch=watch))[-1].end, Done)
    assert fleet.listener["api-main-v043"] == 100


class HeldWhile(NoJournal):
    def __init__(self, is_held: Callable[[], bool]) -> None:
        self.is_held = is_held

    def hold(self) -> str:
        return "held by ann: look" if self.is_held() else ""


def test_a_hold_does_not_close_the_eyes_of_a_watch() -> None:
    fleet = serving()
    bad = lambda request: Watched(Finding.UNSOUND, fleet.now, "errors")  # noqa: E731
    journal = HeldWhile(lambda: bool(fleet.listener.get(NEW)))
    goal = push_goal(side_by_side_seconds=60)
    assert isinstance(go(fleet, drive_push(fleet, goal, fleet.clock, journal, bad))[-1].end, Failed)


def test_a_hold_does_not_leave_black_to_its_policies() -> None:
    fleet = serving()
    journal = HeldWhile(lambda: fleet.listener[OLD] == 0)
    turns = drive_push(fleet, push_goal(watch_seconds=60), fleet.clock, journal)
    go(fleet, turns, lambda progress: fleet.records[OLD].suspended >= BLACK_SUSPENDED)
    assert fleet.records[OLD].suspended >= BLACK_SUSPENDED


def test_no_canary_gets_traffic_in_a_held_region() -> None:
    fleet = serving()
    goal = CanaryGoal(CLUSTER, Build("ami-new"), Build("ami-old"), "c-1", TEMPLATE, 1, 5.0, 60.0, NEED)
    turns = drive_canary(fleet, goal, fleet.clock, HeldWhile(lambda: True))
    for progress, _ in zip(turns, range(20), strict=False):
        fleet.advance(progress.pause_seconds)
    assert set(fleet.listener) == {OLD} and "ann" in progress.sentence
