"""What a list of facts amounts to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from include.ledger import Event, Json, Kind, Place, Recorded
from include.ledger.folds import (
    KnownBuild,
    Outcome,
    TimeToSafe,
    last_build,
    pushes,
    start_seconds,
    times_to_safe,
    topics_of,
)

EAST, WEST = Place("api", "main", "us-east-1"), Place("api", "main", "us-west-2")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
Line = tuple[Kind, str] | tuple[Kind, str, dict[str, Json]]


def build(number: int, **more: Json) -> dict[str, Json]:
    words: dict[str, Json] = {"group": f"api-main-v{number:03}", "image": f"ami-{number}"}
    return {**words, "version": f"1.{number}", "commit": f"c{number}", **more}


def known(number: int) -> KnownBuild:
    return KnownBuild(f"api-main-v{number:03}", f"ami-{number}", f"1.{number}", f"c{number}")


def story(*lines: Line, place: Place = EAST) -> list[Recorded]:
    """Events a minute apart; a line is kind, run, and data where there is any."""
    numbers = count(1)
    return [
        Recorded(
            number := next(numbers),
            Event(
                f"{place}/{number}", kind, NOON + timedelta(minutes=number), place,
                run=run, who=f"{run}'s person", why=f"why {number}", data=data[0] if data else {},
            ),
        )
        for kind, run, *data in lines
    ]  # fmt: skip


def pushed(run: str, number: int) -> list[Line]:
    return [
        (Kind.PUSH_STARTED, run),
        (Kind.RED_LAUNCHED, run, build(number)),
        (Kind.RED_HEALTHY, run, build(number, seconds=60.0 + number)),
        (Kind.PREVIOUS_BLACK, run),
        (Kind.PUSH_FINISHED, run, build(number, black="api-main-v000")),
    ]


def rolled_back(run: str, to: int, bad: str) -> list[Line]:
    about = build(to, **{"from": bad})
    return [(Kind.ROLLBACK_STARTED, run), (Kind.ROLLBACK_SAFE, run, about), (Kind.ROLLBACK_FINISHED, run, about)]


def test_pushes_are_told_newest_first_each_with_its_end() -> None:
    newest, middle, oldest = pushes(
        story(*pushed("p1", 1), (Kind.PUSH_STARTED, "p2"), (Kind.PUSH_FAILED, "p2"), (Kind.PUSH_STARTED, "p3"))
    )

    assert (oldest.run, oldest.outcome, oldest.build, oldest.who) == ("p1", Outcome.FINISHED, known(1), "p1's person")
    assert (oldest.started, oldest.ended) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=5))
    assert (middle.outcome, middle.why) == (Outcome.FAILED, "why 7")
    assert (newest.outcome, newest.ended, newest.build) == (Outcome.UNDER_WAY, None, None)


def test_a_push_that_is_rolled_back_later_keeps_the_moment_of_its_own_end() -> None:
    lines = [*pushed("p1", 1), *rolled_back("r1", 0, "api-main-v001")]
    _, push = pushes(story(*lines, (Kind.PUSH_STARTED, "p2")))
    assert (push.outcome, push.finished) == (Outcome.ROLLED_BACK, NOON + timedelta(minutes=5))
    assert push.ended == NOON + timedelta(minutes=8)
    (under_way,) = pushes(story((Kind.PUSH_STARTED, "p3")))
    assert under_way.finished is None


def test_the_same_run_in_two_regions_is_two_pushes() -> None:
    records = pushes([*story(*pushed("p1", 1)), *story(*pushed("p1", 2), place=WEST)])

    assert [(one.place, one.build) for one in records] == [(WEST, known(2)), (EAST, known(1))]


def test_a_push_taken_back_by_hand_is_rolled_back_and_its_neighbour_is_not() -> None:
    events = story(*pushed("p1", 1), *pushed("p2", 2), *rolled_back("r1", 1, "api-main-v002"))

    assert [(one.run, one.outcome) for one in pushes(events)] == [
        ("p2", Outcome.ROLLED_BACK),
        ("p1", Outcome.FINISHED),
    ]


def test_a_rollback_from_two_groups_takes_back_both_pushes() -> None:
    events = story(
        *pushed("p0", 0), *pushed("p1", 1), *pushed("p2", 2), *rolled_back("r", 0, "api-main-v001 api-main-v002")
    )

    assert [one.outcome for one in pushes(events)] == [Outcome.ROLLED_BACK, Outcome.ROLLED_BACK, Outcome.FINISHED]


def test_of_two_pushes_of_one_name_the_newest_was_rolled_back() -> None:
    events = story(*pushed("old", 2), *pushed("new", 2), *rolled_back("r", 1, "api-main-v002"))

    assert {one.run: one.outcome for one in pushes(events)} == {
        "old": Outcome.FINISHED,
        "new": Outcome.ROLLED_BACK,
    }


@pytest.mark.parametrize("is_failure_told_last", [True, False])
def test_a_push_that_went_back_by_itself_has_failed(is_failure_told_last: bool) -> None:
    failure: list[Line] = [(Kind.PUSH_FAILED, "p1")]
    way_back = rolled_back("p1", 1, "api-main-v002")
    begun: list[Line] = [(Kind.PUSH_STARTED, "p1"), (Kind.RED_LAUNCHED, "p1", build(2))]

    (push,) = pushes(story(*begun, *(way_back + failure if is_failure_told_last else failure + way_back)))

    assert (push.outcome, push.build) == (Outcome.FAILED, known(2))


def test_a_failed_push_that_was_begun_again_is_told_by_its_last_try() -> None:
    events = story((Kind.PUSH_STARTED, "p1"), (Kind.PUSH_FAILED, "p1"), *pushed("p2", 2), *pushed("p1", 3))

    assert [(one.run, one.outcome, one.started.minute) for one in pushes(events)] == [
        ("p1", Outcome.FINISHED, 8),
        ("p2", Outcome.FINISHED, 3),
    ]


def test_start_time_is_the_median_of_the_last_five_launches_of_the_place() -> None:
    measured = [(Kind.RED_HEALTHY, f"p{n}", {"seconds": s}) for n, s in enumerate([900, 50, 70, 60, 400, 65])]

    assert start_seconds(story(*measured), EAST) == 65
    assert start_seconds(story(*measured[:1]), EAST) == 900
    assert start_seconds(story(*measured), WEST) is None
    assert start_seconds(story((Kind.RED_HEALTHY, "p", {"seconds": None}), (Kind.RED_HEALTHY, "q")), EAST) is None


def test_the_last_build_is_what_served_before_the_run() -> None:
    events = story(*pushed("p1", 1), *pushed("p2", 2), *rolled_back("r1", 1, "api-main-v002"), *pushed("p3", 3))

    assert last_build(events, EAST, "p1") is None
    assert last_build(events, EAST, "p2") == known(1)
    assert last_build(events, EAST, "r1") == known(2)
    assert last_build(events, EAST, "p3") == known(1), "p2 was rolled back"
    assert last_build(events, EAST) == known(3)
    assert last_build(events, WEST) is None


def test_a_push_that_failed_changes_nothing_in_what_served() -> None:
    events = story(*pushed("p1", 1), (Kind.PUSH_STARTED, "p2"), (Kind.RED_LAUNCHED, "p2", build(2)))

    assert last_build([*events, *story((Kind.PUSH_FAILED, "p2"))], EAST) == known(1)


def test_the_time_to_safe_counts_from_the_decision() -> None:
    events = story(*rolled_back("r1", 1, "api-main-v002"), (Kind.ROLLBACK_SAFE, "r2"))

    assert times_to_safe(events) == [TimeToSafe(EAST, "r1", NOON + timedelta(minutes=2), 60.0)]


def test_only_what_people_ask_about_is_told_in_chat() -> None:
    told = {kind for kind in Kind if topics_of(Event("k", kind, NOON, EAST)) == {"chat"}}

    assert {Kind.LOCK_TAKEN_OVER, Kind.HOLD_PLACED, Kind.PUSH_STARTED, Kind.PUSH_FAILED, Kind.ROLLBACK_SAFE} <= told
    assert not told & {Kind.LOCK_CLAIMED, Kind.LOCK_RELEASED, Kind.STEP_INTENDED, Kind.STEP_DONE, Kind.RED_HEALTHY}
