"""What a person does with locks and holds from a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.apps import load_app
from include.errors import ConfigError, RefusedError
from include.ledger import EVERY_REGION, Claim, Event, Holder, Kind, Ledger, Place
from redstart.cli import locking
from redstart.cli.screen import lock_table
from tests.support.ledger import fresh_ledger

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WHERE = locking.place("api", "us-east-1")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr("redstart.operators.clock.now", lambda: NOW)
    return fresh_ledger(tmp_path / "ledger.db")


def test_lock_says_who_why_and_until_when(ledger: Ledger) -> None:
    said = locking.lock_region(ledger, WHERE, "ann", "looks at a heap dump", 30, takes_over=False)
    assert "ann's (person) until 23 Nov 12:30:00 UTC: looks at a heap dump" in said


def test_lock_of_somebody_else_is_taken_over_only_when_said(ledger: Ledger) -> None:
    locking.lock_region(ledger, WHERE, "ann", "looks at a heap dump", 30, takes_over=False)
    with pytest.raises(RefusedError, match=r"ann's .* With --take-over it becomes yours"):
        locking.lock_region(ledger, WHERE, "bob", "mends it", 30, takes_over=False)
    assert "bob's" in locking.lock_region(ledger, WHERE, "bob", "mends it", 30, takes_over=True)


def test_stuck_lock_is_freed_by_force_alone(ledger: Ledger) -> None:
    ledger.claim(WHERE, Claim("run-1", Holder.PUSH, "api_prod", "push of 1.2", 600), NOW)
    with pytest.raises(RefusedError, match=r"api_prod's \(push\).*--force"):
        locking.unlock_region(ledger, WHERE, "ann", "the worker is gone", is_forced=False)
    assert "is free" in locking.unlock_region(ledger, WHERE, "ann", "the worker is gone", is_forced=True)
    assert ledger.lease(WHERE) is None
    assert "is not locked" in locking.unlock_region(ledger, WHERE, "ann", "again", is_forced=False)


def test_own_lock_is_freed(ledger: Ledger) -> None:
    locking.lock_region(ledger, WHERE, "ann", "looks", 30, takes_over=False)
    assert "is free" in locking.unlock_region(ledger, WHERE, "ann", "done", is_forced=False)


def test_everything_is_held_and_released(ledger: Ledger) -> None:
    everywhere = locking.places("api", locking.EVERYWHERE)
    said = locking.hold_places(ledger, everywhere, "ann", "the match is on", 90)
    assert said.count("is held by ann until 23 Nov 13:30:00 UTC: the match is on") == 3
    said = locking.unhold_places(ledger, everywhere, "bob", "it is over")
    assert said.count("goes on; ann held it") == 3
    assert "was not held" in locking.unhold_places(ledger, everywhere[:1], "bob", "again")


def test_table_shows_locks_and_holds(ledger: Ledger) -> None:
    locking.lock_region(ledger, WHERE, "ann", "looks", 30, takes_over=False)
    locking.hold_places(ledger, [locking.place("api", "eu-west-1")], "bob", "peak", None)
    about = {"group": "api-main-v001", "image": "ami-1", "version": "1.2"}
    for number, kind in enumerate((Kind.PUSH_STARTED, Kind.RED_LAUNCHED, Kind.PUSH_FINISHED)):
        ledger.record(Event(f"push/{number}", kind, NOW, WHERE, "push-1", "api_prod", data=about))
    rows = locking.lock_rows(ledger, load_app("api"), NOW)
    assert rows[0] == {
        "environment": "prod",
        "region": "us-east-1",
        "lock": "ann (person)",
        "until": "23 Nov 12:30:00 UTC",
        "why": "looks",
        "hold": "",
        "last push": "1.2 finished 23 Nov 12:00:00 UTC by api_prod",
    }
    assert (rows[1]["lock"], rows[2]["hold"]) == ("free", "bob: peak")
    assert [(row["environment"], row["region"]) for row in rows[2:]] == [
        ("prod", "eu-west-1"),
        ("test", "us-east-1"),
        ("integration", "us-east-1"),
        ("staging", "us-east-1"),
    ]
    assert lock_table(rows).row_count == 6
    later = locking.lock_rows(ledger, load_app("api"), NOW + timedelta(hours=1))
    assert later[0]["lock"] == "free", "it has run out"


def test_delivery_on_its_way_is_told_before_the_regions(ledger: Ledger) -> None:
    whole = locking.place("api", EVERY_REGION)
    assert whole == Place("api", "main", EVERY_REGION)
    ledger.claim(whole, Claim("run-1", Holder.PUSH, "api_prod", "delivers 1.2", 600), NOW)
    first = locking.lock_rows(ledger, load_app("api"), NOW)[0]
    assert (first["environment"], first["region"], first["lock"]) == ("prod", EVERY_REGION, "api_prod (push)")
    assert locking.lock_rows(ledger, load_app("api"), NOW + timedelta(hours=1))[0]["region"] == "us-east-1"


def test_other_environments_are_locked_and_held_by_name(ledger: Ledger) -> None:
    staging = locking.place("api", "us-east-1", "staging")
    assert str(staging) == "api-staging in us-east-1"
    locking.hold_places(ledger, locking.places("api", locking.EVERYWHERE, "staging"), "ann", "a demonstration", None)
    held = [row["environment"] for row in locking.lock_rows(ledger, load_app("api"), NOW) if row["hold"]]
    assert held == ["staging"]
    with pytest.raises(ConfigError, match="api-staging runs in us-east-1"):
        locking.place("api", "eu-west-1", "staging")
    with pytest.raises(ConfigError, match="prod, test, integration, staging"):
        locking.place("api", "us-east-1", "elsewhere")


def test_unknown_region_is_said_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="us-east-1, us-west-2, eu-west-1"):
        locking.place("api", "ap-south-1")


def test_nobody_locks_namelessly() -> None:
    with pytest.raises(RefusedError, match="--user"):
        locking.person("")
