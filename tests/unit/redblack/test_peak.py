"""A push that is overtaken by a peak, under each setting: stories on a fleet in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from include.errors import RetryableError
from include.fleet import Capacity, ClusterRef
from include.fleet.tags import BLACK_SINCE, FAILED, PAUSED, RESUMED, SEVERE, SIDE_BY_SIDE_UNTIL
from include.redblack import (
    AtPeak,
    Build,
    Done,
    Failed,
    Finding,
    GroupTemplate,
    Milestone,
    Need,
    NoJournal,
    Progress,
    PushGoal,
    QuietTime,
    SizeBounds,
    Watched,
    WatchKind,
    WatchRequest,
    drive_push,
)
from include.redblack.steps import CreateRed, DisablePrevious, GrowRed, ShareTraffic, WaitPeak, WaitTakingTraffic
from tests.support.fake_fleet import FakeFleet

CLUSTER = ClusterRef("api", "main", "us-east-1")
OLD, NEW = "api-main-v041", "api-main-v042"
BESIDE, ALONE, START = 30.0, 60.0, 20.0
WHOLE = START + BESIDE + ALONE
HOURS = timedelta(hours=8)
Find = Callable[[WatchRequest], Watched]


def goal(quiet: QuietTime | None, **changes: object) -> PushGoal:
    template = GroupTemplate("m5.large", 8080, "/health")
    need = Need(10.0, start_seconds=START)
    made = PushGoal(CLUSTER, Build("ami-new"), "push-1", template, SizeBounds(2, 40), need, quiet=quiet)
    return replace(made, **{"side_by_side_seconds": BESIDE, "watch_seconds": ALONE, **changes})  # type: ignore[arg-type]


def fleet_with_previous(size: int = 4) -> FakeFleet:
    fleet = FakeFleet()
    fleet.rps = 30.0
    fleet.seed(CLUSTER, OLD, "ami-old", size)
    fleet.advance(60)
    return fleet


def quiet_for(fleet: FakeFleet, seconds: float, at_peak: AtPeak, **changes: object) -> QuietTime:
    until = fleet.now + timedelta(seconds=seconds)
    return replace(QuietTime(until, until + HOURS, at_peak), **changes)  # type: ignore[arg-type]


def sound(fleet: FakeFleet) -> Find:
    return lambda request: Watched(Finding.SOUND, fleet.now)


def push(
    fleet: FakeFleet,
    wanted: PushGoal,
    watch: Find | None = None,
    journal: NoJournal | None = None,
    until: Milestone = Milestone.ENDED,
    turns: int = 400,
    ends: Callable[[Progress], bool] = lambda progress: isinstance(progress.step, WaitPeak),
) -> list[Progress]:
    """To the push's end, or to where `ends` says so: as an operator lets go there and comes back with a new engine."""
    seen: list[Progress] = []
    for progress in drive_push(fleet, wanted, fleet.clock, journal, watch or sound(fleet), until):
        seen.append(progress)
        if progress.end is not None or ends(progress) or len(seen) >= turns:
            break
        fleet.advance(progress.pause_seconds)
    return seen


def until_step(kind: type) -> Callable[[Progress], bool]:
    return lambda progress: isinstance(progress.step, kind)


def steps(seen: list[Progress]) -> list[str]:
    return [type(progress.step).__name__ for progress in seen]


@pytest.mark.parametrize("at_peak", list(AtPeak))
def test_a_push_that_ends_in_time_is_the_same_under_every_setting(at_peak: AtPeak) -> None:
    plain, fleet = fleet_with_previous(), fleet_with_previous()
    without = push(plain, goal(None))
    # 30 s more than the estimate: health checks, and looks every 5 s
    seen = push(fleet, goal(quiet_for(fleet, WHOLE + 30, at_peak)))
    assert isinstance(seen[-1].end, Done)
    assert [one.sentence for one in seen] == [one.sentence for one in without]
    assert fleet.calls == plain.calls


def test_finish_finishes_whatever_the_market_does() -> None:
    fleet = fleet_with_previous()
    seen = push(fleet, goal(quiet_for(fleet, 5, AtPeak.FINISH)))
    assert isinstance(seen[-1].end, Done)
    assert fleet.listener == {NEW: 100, OLD: 0}


@pytest.mark.parametrize("at_peak", [AtPeak.HOLD, AtPeak.ROLL_BACK])
def test_nothing_is_launched_into_a_peak(at_peak: AtPeak) -> None:
    fleet = fleet_with_previous()
    quiet = quiet_for(fleet, WHOLE - 10, at_peak)
    last = push(fleet, goal(quiet))[-1]
    assert isinstance(last.step, WaitPeak)
    assert last.step.again == quiet.again
    assert "us-east-1" in last.sentence and f"{quiet.until:%H:%M:%S} UTC" in last.sentence
    assert f"{quiet.again:%d %b %H:%M:%S} UTC" in last.sentence
    assert fleet.calls == [] and set(fleet.records) == {OLD}


def test_where_no_window_is_longer_a_push_may_begin_all_the_same_and_is_held_later() -> None:
    fleet = fleet_with_previous()
    seen = push(fleet, goal(quiet_for(fleet, WHOLE - 10, AtPeak.HOLD, may_begin=True)))
    assert "CreateRed" in steps(seen)
    assert isinstance(seen[-1].step, WaitPeak) and fleet.listener == {OLD: 100, NEW: 0}


def test_in_windows_that_are_all_too_short_what_began_goes_on_as_long_as_one_lasts() -> None:
    fleet = fleet_with_previous()
    short = quiet_for(fleet, WHOLE - 10, AtPeak.HOLD, may_begin=True, are_all_short=True)
    seen = push(fleet, goal(short))
    assert isinstance(seen[-1].end, Done), seen[-1].sentence
    assert fleet.listener == {NEW: 100, OLD: 0}


def test_when_too_short_a_window_is_over_the_push_is_held_and_goes_on_in_the_next() -> None:
    fleet = fleet_with_previous()
    push(fleet, goal(None), ends=until_step(CreateRed))
    short = quiet_for(fleet, 5, AtPeak.HOLD, are_all_short=True)
    fleet.advance(30)
    assert isinstance(push(fleet, goal(short))[-1].step, WaitPeak)
    fleet.advance(HOURS.total_seconds())
    seen = push(fleet, goal(quiet_for(fleet, WHOLE - 30, AtPeak.HOLD, are_all_short=True)))
    assert isinstance(seen[-1].end, Done), seen[-1].sentence


def test_what_serves_already_needs_no_quiet_time() -> None:
    fleet = fleet_with_previous()
    wanted = goal(quiet_for(fleet, -60, AtPeak.HOLD), build=Build("ami-old"))
    assert isinstance(push(fleet, wanted)[-1].end, Done)


def test_a_push_on_its_way_up_is_held_out_of_traffic() -> None:
    fleet = fleet_with_previous()
    push(fleet, goal(None), ends=until_step(CreateRed))
    seen = push(fleet, goal(quiet_for(fleet, WHOLE - 20, AtPeak.HOLD)))
    assert isinstance(seen[-1].step, WaitPeak)
    assert "ShareTraffic" not in steps(seen)
    assert fleet.listener == {OLD: 100, NEW: 0}
    assert fleet.records[NEW].tags[PAUSED]


def held_beside(fleet: FakeFleet, watch: Find | None = None) -> QuietTime:
    """Red/red, and the peak comes before red could be watched alone."""
    push(fleet, goal(None), ends=until_step(WaitTakingTraffic))
    quiet = quiet_for(fleet, BESIDE + 20, AtPeak.HOLD)
    seen = push(fleet, goal(quiet), watch)
    assert isinstance(seen[-1].step, WaitPeak)
    assert fleet.listener[OLD] > 0 and fleet.listener[NEW] > 0
    return quiet


def test_a_push_in_red_red_is_held_there() -> None:
    fleet = fleet_with_previous()
    held_beside(fleet)
    assert BLACK_SINCE not in fleet.records[OLD].tags


def test_a_push_whose_red_serves_alone_is_never_held() -> None:
    fleet = fleet_with_previous()
    push(fleet, goal(None), until=Milestone.SWITCHED)
    seen = push(fleet, goal(quiet_for(fleet, 5, AtPeak.HOLD)))
    assert isinstance(seen[-1].end, Done)
    assert "WaitPeak" not in steps(seen)


@pytest.mark.parametrize("hours", [1, 20])
def test_what_was_held_goes_on_when_the_peak_is_over_and_is_not_late(hours: int) -> None:
    fleet = fleet_with_previous()
    push(fleet, goal(None), ends=until_step(CreateRed))
    push(fleet, goal(quiet_for(fleet, WHOLE - 20, AtPeak.HOLD)))
    fleet.advance(hours * 3600)
    seen = push(fleet, goal(quiet_for(fleet, 3600, AtPeak.HOLD)))
    assert isinstance(seen[-1].end, Done), seen[-1].sentence
    tags = fleet.records[NEW].tags
    assert tags[PAUSED] == "" and tags[RESUMED]


def test_what_was_held_in_red_red_is_watched_anew_before_previous_goes() -> None:
    fleet = fleet_with_previous()
    held_beside(fleet)
    fleet.advance(8 * 3600)
    began, asked = fleet.now, []

    def watch(request: WatchRequest) -> Watched:
        asked.append(request)
        return Watched(Finding.SOUND, fleet.now)

    seen = push(fleet, goal(quiet_for(fleet, 3600, AtPeak.HOLD)), watch)
    assert isinstance(seen[-1].end, Done), seen[-1].sentence
    beside = [one for one in asked if one.kind is WatchKind.SIDE_BY_SIDE]
    assert beside
    assert all(began - timedelta(seconds=BESIDE + 5) <= one.since for one in beside), "of now, not of hours ago"
    assert datetime.fromisoformat(fleet.records[NEW].tags[SIDE_BY_SIDE_UNTIL]) < began - timedelta(hours=7)


def test_an_override_lets_a_held_push_go_on() -> None:
    fleet = fleet_with_previous()
    held_beside(fleet)
    fleet.advance(3600)
    assert isinstance(push(fleet, goal(None))[-1].end, Done)


def test_red_that_goes_bad_while_it_is_held_is_gone_back_from() -> None:
    fleet = fleet_with_previous()
    quiet = held_beside(fleet)
    fleet.advance(600)
    since = fleet.now

    def watch(request: WatchRequest) -> Watched:
        is_of_now = request.until >= since
        return Watched(Finding.UNSOUND if is_of_now else Finding.SOUND, fleet.now, "http.5xx 4 %")

    end = push(fleet, goal(quiet), watch, ends=lambda progress: False)[-1].end
    assert isinstance(end, Failed) and "http.5xx" in end.reason
    assert fleet.listener[OLD] == 100


def test_a_store_that_is_away_while_a_push_is_held_changes_nothing() -> None:
    fleet = fleet_with_previous()
    quiet = held_beside(fleet)
    fleet.advance(1800)

    def away(request: WatchRequest) -> Watched:
        raise RetryableError("GetMetricData: throttled")

    assert isinstance(push(fleet, goal(quiet), away)[-1].step, WaitPeak)
    assert FAILED not in fleet.records[NEW].tags


def test_red_whose_instances_die_while_it_is_held_is_gone_back_from() -> None:
    fleet = fleet_with_previous()
    quiet = held_beside(fleet)
    fleet.broken_images.add("ami-new")
    fleet.advance(30)
    end = push(fleet, goal(quiet), ends=lambda progress: False)[-1].end
    assert isinstance(end, Failed) and "healthy while sharing traffic" in end.reason
    assert fleet.listener[OLD] == 100


def test_red_grows_with_previous_while_it_is_held() -> None:
    fleet = fleet_with_previous()
    quiet = held_beside(fleet)
    fleet.rps = 70.0
    fleet.resize_group(OLD, Capacity(8, 8, 40))
    fleet.advance(60)
    seen = push(fleet, goal(quiet), ends=until_step(GrowRed))
    assert isinstance(seen[-1].step, GrowRed)
    assert fleet.records[NEW].capacity.desired >= 8


def test_red_that_is_not_healthy_in_time_is_not_late_while_it_is_held() -> None:
    fleet = fleet_with_previous()
    fleet.broken_images.add("ami-new")
    push(fleet, goal(None), ends=until_step(CreateRed))
    quiet = quiet_for(fleet, -1, AtPeak.HOLD)
    seen = push(fleet, goal(quiet, launch_within_seconds=60), turns=60)
    assert FAILED not in fleet.records[NEW].tags and seen[-1].end is None


STAGES = {
    "launching": until_step(CreateRed),
    "sharing": until_step(ShareTraffic),
    "beside": until_step(WaitTakingTraffic),
    "alone": until_step(DisablePrevious),
}


@pytest.mark.parametrize("stage", list(STAGES))
def test_roll_back_goes_back_gently_from_wherever_the_push_is(stage: str) -> None:
    fleet = fleet_with_previous()
    push(fleet, goal(None), ends=STAGES[stage])
    fleet.check = lambda world: None
    end = push(fleet, goal(quiet_for(fleet, 10, AtPeak.ROLL_BACK)))[-1].end
    assert isinstance(end, Failed) and "the peak of us-east-1 at" in end.reason
    assert fleet.listener[OLD] == 100
    if NEW in fleet.records and fleet.records[NEW].deleted_at is None:
        assert fleet.records[NEW].tags[SEVERE] == "no"


def test_roll_back_leaves_a_push_alone_that_is_at_its_end() -> None:
    fleet = fleet_with_previous()
    push(fleet, goal(None))
    assert isinstance(push(fleet, goal(quiet_for(fleet, -60, AtPeak.ROLL_BACK)))[-1].end, Done)
    assert fleet.listener == {NEW: 100, OLD: 0}


def test_roll_back_does_not_leave_a_cluster_without_anybody() -> None:
    fleet = FakeFleet()
    push(fleet, goal(None), until=Milestone.SWITCHED)  # the first group ever
    end = push(fleet, goal(quiet_for(fleet, 1, AtPeak.ROLL_BACK)))[-1].end
    assert isinstance(end, Done)


@pytest.mark.parametrize("at_peak", [AtPeak.HOLD, AtPeak.ROLL_BACK])
def test_a_push_on_its_way_back_is_not_touched(at_peak: AtPeak) -> None:
    fleet = fleet_with_previous()
    push(fleet, goal(None), ends=until_step(WaitTakingTraffic))
    fleet.records[NEW].tags[FAILED] = "slow"
    end = push(fleet, goal(quiet_for(fleet, -60, at_peak)))[-1].end
    assert isinstance(end, Failed) and "slow" in end.reason


class HeldByAna(NoJournal):
    words = "held by ana: the match is on"

    def hold(self) -> str:
        return self.words


def test_a_hold_of_a_person_outlasts_the_peak() -> None:
    fleet, journal = fleet_with_previous(), HeldByAna()
    held_beside(fleet)
    fleet.advance(3600)
    seen = push(fleet, goal(quiet_for(fleet, 3600, AtPeak.HOLD)), journal=journal, turns=20)
    assert "ana" in seen[-1].sentence and fleet.listener[OLD] > 0
    journal.words = ""
    assert isinstance(push(fleet, goal(None), journal=journal)[-1].end, Done)
