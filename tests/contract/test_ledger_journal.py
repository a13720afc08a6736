"""The engine's journal in a real ledger: each fact once, however often an engine is killed and begins again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from include.fleet import ClusterRef
from include.ledger import Claim, Hold, Holder, Kind, Ledger, LockLostError, Place
from include.redblack import (
    Build,
    Done,
    Failed,
    GroupTemplate,
    LedgerJournal,
    Need,
    PushGoal,
    RollbackGoal,
    SizeBounds,
    drive_push,
    drive_rollback,
)
from include.redblack.steps import WaitHeld
from tests.support.fake_fleet import FakeFleet, Killed
from tests.support.ledger import fresh_ledger

CLUSTER, PLACE = ClusterRef("api", "main", "us-east-1"), Place("api", "main", "us-east-1")
NEED, SIZE = Need(10.0), SizeBounds(2, 40)
DEEDS = (Kind.STEP_INTENDED, Kind.STEP_DONE)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    return fresh_ledger(tmp_path / "ledger.db")


def world() -> FakeFleet:
    fleet = FakeFleet()
    fleet.rps = 20.0
    fleet.seed(CLUSTER, "api-main-v041", "ami-old", 4)
    fleet.advance(60)
    return fleet


def journal_of(ledger: Ledger, fleet: FakeFleet, run: str = "push-1", attempt: int = 0) -> LedgerJournal:
    holder = Holder.PUSH if run.startswith("push") else Holder.ROLLBACK
    lease = ledger.claim(PLACE, Claim(run, holder, "ana", "a test", 180), fleet.now)
    return LedgerJournal(ledger, lease, run, "ana", fleet.clock, attempt=attempt)


def push(ledger: Ledger, fleet: FakeFleet, attempt: int = 0) -> Done | Failed:
    goal = PushGoal(
        CLUSTER, Build("ami-new", "1.2", "abc"), "push-1", GroupTemplate("m5.large", 8080, "/health"), SIZE, NEED
    )
    for progress in drive_push(fleet, goal, fleet.clock, journal_of(ledger, fleet, attempt=attempt)):
        fleet.advance(progress.pause_seconds)
        if progress.end is not None:
            return progress.end
    raise AssertionError("no end")


def roll_back(ledger: Ledger, fleet: FakeFleet) -> Done | Failed:
    goal = RollbackGoal(CLUSTER, "rollback-1", "checkout fails", SIZE, NEED)
    for progress in drive_rollback(fleet, goal, fleet.clock, journal_of(ledger, fleet, "rollback-1")):
        fleet.advance(progress.pause_seconds)
        if progress.end is not None:
            return progress.end
    raise AssertionError("no end")


def kinds(ledger: Ledger) -> Counter[Kind]:
    return Counter(one.event.kind for one in ledger.events(place=PLACE))


def test_a_push_leaves_its_story(ledger: Ledger) -> None:
    fleet = world()
    push(ledger, fleet)
    story = [one.event for one in ledger.events(place=PLACE) if one.event.kind not in DEEDS]
    assert [event.kind for event in story] == [
        Kind.LOCK_CLAIMED,
        Kind.PUSH_STARTED,
        Kind.RED_LAUNCHED,
        Kind.RED_HEALTHY,
        Kind.TRAFFIC_SHARED,
        Kind.PREVIOUS_BLACK,
        Kind.PUSH_FINISHED,
    ]
    healthy = story[3].data
    assert healthy["group"] == "api-main-v042" and healthy["commit"] == "abc" and healthy["previous"] == "api-main-v041"
    assert isinstance(healthy["seconds"], float) and healthy["seconds"] >= 10
    assert {event.who for event in story} == {"ana"}


def test_every_deed_is_intended_before_it_is_done_and_once(ledger: Ledger) -> None:
    fleet = world()
    push(ledger, fleet)
    deeds = [one.event for one in ledger.events(place=PLACE, kinds=DEEDS)]
    intended = [event.key for event in deeds if event.kind is Kind.STEP_INTENDED]
    done = [event.key.removesuffix("/done") for event in deeds if event.kind is Kind.STEP_DONE]
    assert intended == done and len(set(done)) == len(done)
    assert [event.kind for event in deeds[:2]] == [Kind.STEP_INTENDED, Kind.STEP_DONE]


@pytest.mark.parametrize("is_bad", [False, True])
def test_an_engine_killed_at_any_call_leaves_the_same_facts(tmp_path: Path, is_bad: bool) -> None:
    def begin() -> FakeFleet:
        fleet = world()
        if is_bad:
            fleet.silent_images.add("ami-new")
        return fleet

    whole, points = begin(), []
    whole.hook = lambda call, moment: points.append((call, moment))
    ledger = fresh_ledger(tmp_path / "whole.db")
    push(ledger, whole)
    expected = kinds(ledger)
    assert len(points) >= 20
    for point in range(len(points)):
        fleet, ledger = begin(), fresh_ledger(tmp_path / f"{point}.db")
        counter = iter(range(10_000))

        def hook(call: str, moment: str, counter: Iterator[int] = counter, point: int = point) -> None:
            if next(counter) == point:
                raise Killed

        fleet.hook = hook
        with pytest.raises(Killed):
            push(ledger, fleet)
        fleet.hook = lambda call, moment: None
        push(ledger, fleet)
        assert kinds(ledger) == expected, points[point]


def test_a_failed_push_tried_again_by_the_machine_fails_again_and_by_a_person_is_pushed_again(ledger: Ledger) -> None:
    fleet = world()
    fleet.silent_images.add("ami-new")
    first = push(ledger, fleet)
    fleet.advance(30)
    fleet.silent_images.clear()
    again = push(ledger, fleet)
    assert isinstance(first, Failed) and isinstance(again, Failed) and "not taking traffic" in again.reason
    assert kinds(ledger)[Kind.PUSH_FAILED] == 1
    assert isinstance(push(ledger, fleet, attempt=1), Done)
    assert kinds(ledger)[Kind.PUSH_STARTED] == 2


def test_a_rollback_takes_the_lock_from_the_push_whose_next_deed_is_refused(ledger: Ledger) -> None:
    fleet = world()
    goal = PushGoal(CLUSTER, Build("ami-new"), "push-1", GroupTemplate("m", 1, "/"), SIZE, NEED)
    journal = journal_of(ledger, fleet)
    turns = drive_push(fleet, goal, fleet.clock, journal)
    for progress in turns:
        fleet.advance(progress.pause_seconds)
        if fleet.listener.get("api-main-v042"):
            break
    assert isinstance(roll_back(ledger, fleet), Done)
    fleet.advance(200)
    with pytest.raises(LockLostError):
        next(turns)
    assert kinds(ledger)[Kind.LOCK_TAKEN_OVER] == 1
    safe = ledger.events(place=PLACE, kinds=(Kind.ROLLBACK_SAFE,))
    assert [one.event.data["group"] for one in safe] == ["api-main-v041"]


def test_a_hold_in_the_ledger_stops_a_push(ledger: Ledger) -> None:
    fleet = world()
    ledger.place_hold(Hold(PLACE, "ben", "the data centre moves", fleet.now, fleet.now + timedelta(minutes=1)))
    goal = PushGoal(CLUSTER, Build("ami-new"), "push-1", GroupTemplate("m", 1, "/"), SIZE, NEED)
    said = []
    for progress in drive_push(fleet, goal, fleet.clock, journal_of(ledger, fleet)):
        fleet.advance(progress.pause_seconds)
        said.append((type(progress.step), progress.sentence))
        if progress.end is not None:
            break
    assert said[0][0] is WaitHeld and "ben" in said[0][1] and "the data centre moves" in said[0][1]
    assert isinstance(progress.end, Done)


def test_the_lease_is_renewed_while_the_engine_lives(ledger: Ledger) -> None:
    fleet = world()
    fleet.boot_seconds = 400
    push(ledger, fleet)
    lease = ledger.lease(PLACE)
    assert lease is not None and lease.until > fleet.now
    assert kinds(ledger)[Kind.LOCK_CLAIMED] == 1
