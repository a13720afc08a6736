"""The ledger's port, kept by SQLite and by PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from include.adapters.ledger_store import SqlLedger
from include.errors import RefusedError
from include.ledger import (
    Claim,
    Event,
    Hold,
    Holder,
    Json,
    Kind,
    LeaseRunOutError,
    LockedError,
    LockLostError,
    Place,
)
from include.ledger.folds import CHAT

EAST, WEST = Place("api", "main", "us-east-1"), Place("api", "main", "us-west-2")
OTHER = Place("web", "main", "us-east-1")
NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PUSH = Claim("run-1", Holder.PUSH, "dag run 1", "a release", 60)
ROLLBACK = Claim("run-2", Holder.ROLLBACK, "bob", "users see errors", 60)


@pytest.fixture
def ledger(database: str) -> SqlLedger:
    return SqlLedger(database)


def event_of(
    key: str,
    kind: Kind = Kind.STEP_DONE,
    place: Place = EAST,
    run: str = "run-1",
    at: datetime = NOW,
    data: dict[str, Json] | None = None,
) -> Event:
    return Event(key, kind, at, place, run=run, who="bob", why="so", data=data or {})


def kinds(ledger: SqlLedger) -> list[Kind]:
    return [one.event.kind for one in ledger.events()]


def test_an_event_comes_back_as_it_was_recorded(ledger: SqlLedger) -> None:
    data: dict[str, Json] = {"text": "naïve \u2603", "n": 3, "x": 0.25, "none": None, "list": [1, {"a": True}]}
    event = event_of("key", data=data, at=NOW.astimezone(tz=None))

    assert ledger.record(event)

    (kept,) = ledger.events()
    assert kept.event == event
    assert kept.event.at.tzinfo is UTC


def test_a_character_that_no_database_keeps_loses_no_event(ledger: SqlLedger) -> None:
    ledger.record(replace(event_of("key", data={"text": "a\0b"}), why="users\0 are hurt"))
    ledger.place_hold(Hold(EAST, "ann", "wait\0", NOW))
    ledger.claim(EAST, replace(PUSH, why="\0release"), NOW)
    event = ledger.events()[0].event
    hold, lease = ledger.hold(EAST, NOW), ledger.lease(EAST)
    assert (event.why, event.data) == ("users are hurt", {"text": "ab"})
    assert hold is not None and lease is not None
    assert (hold.why, lease.why) == ("wait", "release")


def test_a_fact_is_kept_once_and_as_it_was_first_told(ledger: SqlLedger) -> None:
    first = event_of("key", Kind.PUSH_STARTED)

    assert ledger.record(first)
    assert not ledger.record(replace(first, at=LATER, why="told again"))

    assert [one.event for one in ledger.events()] == [first]
    assert len(ledger.pending(CHAT)) == 1


@pytest.mark.parametrize("other", [event_of("key", Kind.PUSH_FAILED), event_of("key", Kind.PUSH_STARTED, WEST)])
def test_one_key_for_two_facts_is_refused(ledger: SqlLedger, other: Event) -> None:
    ledger.record(event_of("key", Kind.PUSH_STARTED))

    with pytest.raises(RefusedError, match="The key 'key' is that of another fact"):
        ledger.record(other)


def test_events_are_found_by_what_is_given_in_recorded_order(ledger: SqlLedger) -> None:
    ledger.record(event_of("a", run="one"))
    ledger.record(event_of("b", Kind.STEP_INTENDED, at=NOW - timedelta(hours=1)))
    ledger.record(event_of("c", place=WEST))
    ledger.record(event_of("d", place=OTHER))

    def keys(**wish: object) -> str:
        return "".join(one.event.key for one in ledger.events(**wish))  # type: ignore[arg-type]

    assert (keys(), keys(place=EAST), keys(app="api"), keys(run="one")) == ("abcd", "ab", "abc", "a")
    assert (keys(kinds={Kind.STEP_DONE}), keys(since=NOW), keys(newest=2)) == ("acd", "acd", "cd")
    assert keys(place=EAST, kinds=[Kind.STEP_DONE], since=LATER) == ""
    numbers = [one.number for one in ledger.events()]
    assert numbers == sorted(set(numbers))


def test_a_lock_is_claimed_kept_and_freed_with_one_event_each(ledger: SqlLedger) -> None:
    lease = ledger.claim(EAST, PUSH, NOW)
    again = ledger.claim(EAST, PUSH, NOW + timedelta(seconds=30))

    assert (again.token, again.until) == (lease.token, NOW + timedelta(seconds=90))
    assert ledger.lease(EAST) == again
    assert ledger.lease(WEST) is None
    assert ledger.free(EAST, NOW, owner="run-1", who="bob", why="done") == again
    assert ledger.free(EAST, NOW, owner="run-1", who="bob", why="done") is None
    assert ledger.lease(EAST) is None
    assert kinds(ledger) == [Kind.LOCK_CLAIMED, Kind.LOCK_RELEASED]


def test_tokens_grow_over_freeing_taking_over_and_running_out(ledger: SqlLedger) -> None:
    tokens = [ledger.claim(EAST, PUSH, NOW).token]
    ledger.free(EAST, NOW, who="bob", why="stuck")
    tokens.append(ledger.claim(EAST, PUSH, NOW).token)
    tokens.append(ledger.claim(EAST, ROLLBACK, NOW).token)
    tokens.append(ledger.claim(EAST, PUSH, LATER).token)

    assert tokens == sorted(set(tokens))
    assert kinds(ledger)[2:] == [Kind.LOCK_CLAIMED, Kind.LOCK_TAKEN_OVER, Kind.LOCK_CLAIMED]
    taken = ledger.events(kinds=[Kind.LOCK_TAKEN_OVER])[0].event
    assert (taken.who, taken.why, taken.data["from"]) == ("bob", "users see errors", "dag run 1")


def test_who_is_refused_changes_nothing(ledger: SqlLedger) -> None:
    lease = ledger.claim(EAST, ROLLBACK, NOW)

    with pytest.raises(LockedError, match="api-main in us-east-1 is bob's"):
        ledger.claim(EAST, PUSH, NOW)

    assert ledger.lease(EAST) == lease
    assert kinds(ledger) == [Kind.LOCK_CLAIMED]


def test_only_the_owner_frees_by_its_name_and_anybody_by_hand(ledger: SqlLedger) -> None:
    lease = ledger.claim(EAST, PUSH, NOW)

    assert ledger.free(EAST, NOW, owner="run-2", who="run 2", why="done") is None
    assert ledger.free(EAST, NOW, who="ann", why="it is stuck") == lease

    released = ledger.events(kinds=[Kind.LOCK_RELEASED])[0].event
    assert (released.run, released.who, released.why) == ("run-1", "ann", "it is stuck")


def test_a_lease_is_good_until_it_runs_out_or_is_taken_over(ledger: SqlLedger) -> None:
    lease = ledger.claim(EAST, PUSH, NOW)

    ledger.check(lease, NOW)
    with pytest.raises(LeaseRunOutError):
        ledger.check(lease, LATER)
    assert ledger.renew(lease, LATER, 60).until == LATER + timedelta(seconds=60)
    ledger.check(lease, LATER)
    ledger.claim(EAST, ROLLBACK, LATER)
    with pytest.raises(LockLostError, match="is bob's"):
        ledger.check(lease, LATER)
    with pytest.raises(LockLostError):
        ledger.renew(lease, LATER, 60)


def test_a_hold_lasts_until_its_end_or_until_it_is_lifted(ledger: SqlLedger) -> None:
    short, long = Hold(EAST, "ann", "lunch", NOW, LATER), Hold(EAST, "ann", "a sale", LATER)

    ledger.place_hold(short)
    assert (ledger.hold(EAST, NOW), ledger.hold(EAST, LATER), ledger.hold(WEST, NOW)) == (short, None, None)
    ledger.place_hold(long)
    ledger.place_hold(long)
    assert ledger.hold(EAST, LATER) == long
    assert ledger.lift_hold(EAST, LATER, who="bob", why="over") == long
    assert ledger.lift_hold(EAST, LATER, who="bob", why="over") is None
    assert ledger.hold(EAST, LATER) is None
    assert kinds(ledger) == [Kind.HOLD_PLACED, Kind.HOLD_PLACED, Kind.HOLD_LIFTED]


def test_a_hold_hinders_no_claim(ledger: SqlLedger) -> None:
    ledger.place_hold(Hold(EAST, "ann", "a sale", NOW))

    assert ledger.claim(EAST, PUSH, NOW).owner == "run-1"


def test_what_is_to_be_told_waits_until_it_is_marked(ledger: SqlLedger) -> None:
    for number in range(4):
        ledger.record(event_of(f"told {number}", Kind.PUSH_STARTED))
        ledger.record(event_of(f"silent {number}", Kind.STEP_DONE))

    first, second, *_ = waiting = ledger.pending(CHAT)
    assert [one.event.key for one in waiting] == [f"told {number}" for number in range(4)]
    assert ledger.pending(CHAT, limit=1) == [first]
    ledger.mark_told(CHAT, [first.number, second.number], NOW)
    ledger.mark_told(CHAT, [second.number], LATER)
    ledger.mark_told("elsewhere", [waiting[2].number], NOW)
    ledger.mark_told(CHAT, [], NOW)
    assert ledger.pending(CHAT) == waiting[2:]
    assert ledger.pending("elsewhere") == []


def test_a_claim_whose_event_cannot_be_kept_is_no_claim(ledger: SqlLedger) -> None:
    """All of a verb or nothing: here the event's key is taken by another fact."""
    ledger.record(event_of(f"{EAST}/lock/{int(NOW.timestamp())}/claimed", Kind.PUSH_STARTED))

    with pytest.raises(RefusedError):
        ledger.claim(EAST, PUSH, NOW)

    assert ledger.lease(EAST) is None


@pytest.mark.parametrize("change", ["UPDATE ledger_events SET why = 'other'", "DELETE FROM ledger_events"])
def test_the_database_itself_refuses_to_change_what_happened(ledger: SqlLedger, change: str) -> None:
    ledger.record(event_of("key"))

    with pytest.raises(IntegrityError, match="append-only"), ledger.engine.begin() as connection:
        connection.execute(text(change))

    assert [one.event.why for one in ledger.events()] == ["so"]


def test_kinds_that_a_newer_code_has_written_are_passed_over(ledger: SqlLedger) -> None:
    ledger.record(event_of("known", Kind.PUSH_STARTED))
    with ledger.engine.begin() as connection:
        columns = "app, stack, region, run, who, why, data, version, at"
        connection.execute(
            text(
                f"INSERT INTO ledger_events (key, kind, {columns})"
                f" SELECT 'newer', 'moon.landed', {columns} FROM ledger_events"
            )
        )
        connection.execute(text("INSERT INTO ledger_outbox (topic, number) VALUES ('chat', 2)"))

    assert [one.event.key for one in ledger.events()] == ["known"]
    assert [one.event.key for one in ledger.pending(CHAT)] == ["known"]


def test_a_moment_without_a_zone_is_refused(ledger: SqlLedger) -> None:
    with pytest.raises(RefusedError, match="has no time zone"):
        ledger.record(event_of("key", at=NOW.replace(tzinfo=None)))


def test_a_value_that_json_does_not_know_is_refused(ledger: SqlLedger) -> None:
    with pytest.raises(RefusedError, match="not JSON compliant"):
        ledger.record(event_of("key", data={"x": float("nan")}))
